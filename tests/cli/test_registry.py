"""`cogorch registry`: versions listed, shown, compared, named and measured again; and one clear error each."""

import json
from pathlib import Path

from cogorch_dagster.settings import Settings
from cogorch_dagster.tuning.registration import register_agents
from tests.cli.conftest import Run
from tests.tuning.registered_training import short_fleet, trained

FIRST, SECOND = "agent-policy@1", "agent-policy@2"


def test_versions_are_listed_shown_compared_named_and_measured_again(
    cogorch: Run, mlflow_database: Settings, tmp_path: Path
) -> None:
    agents = trained(mlflow_database, learning=("policy",)).agents
    for study in ("s1", "s2"):
        register_agents(mlflow_database, agents, short_fleet(), study=study)
    (listed,) = cogorch("registry", "list", "--json").json["versions"]
    assert (listed["name"], listed["version"], listed["lineage"]["study"]) == ("agent-policy", 2, "s2")

    named = cogorch("registry", "alias", "agent-policy", "champion", "1", "--json")
    assert named.code == 0 and named.json["aliases"] == ["champion"], named.err
    shown = cogorch("registry", "show", "agent-policy@champion")
    assert shown.code == 0 and "checkpoint.safetensors" in shown.out and FIRST in shown.out, shown.err
    (compared,) = cogorch("registry", "compare", FIRST, SECOND, "--json").json["differences"]
    assert compared == {"part": "lineage", "name": "study", "first": "s1", "second": "s2"}

    again = cogorch("registry", "evaluate", FIRST)
    assert again.code == 0 and "the same, bit for bit" in again.out, again.err
    plot = tmp_path / "beside.png"
    beside = cogorch("registry", "evaluate", FIRST, SECOND, "--seeds", "2", "--plot", plot, "--json")
    assert beside.code == 0 and beside.json["comparisons"]["reward"]["seeds"] == 2, beside.err
    assert plot.read_bytes().startswith(b"\x89PNG")

    unknown = cogorch("registry", "show", "agent-policy@7", "--json")
    assert unknown.code == 3 and json.loads(unknown.out)["error"]["reason"] == "unknown_version"


def test_a_wrong_argument_gives_one_clear_error_without_a_database(cogorch: Run) -> None:
    for arguments, code, message in (
        (("list",), 4, "Run `cogorch setup`, which creates it"),
        (("alias", "agent-policy", "best", "1"), 2, "there is no alias 'best'"),
        (("evaluate", FIRST, "--plot", "a.png"), 2, "needs two versions"),
    ):
        wrong = cogorch("registry", *arguments)
        assert wrong.code == code and message in wrong.err and "Traceback" not in wrong.err, arguments
