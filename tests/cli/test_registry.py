"""`cogorch registry`: versions listed, shown, compared, named and measured again; and one clear error each."""

from pathlib import Path

from cogorch_dagster.errors import InvalidInput, Refused
from cogorch_dagster.registry.mlflow_store import database_url
from cogorch_dagster.registry.store import find
from cogorch_dagster.registry.tags import BEATS_STATIC
from cogorch_dagster.settings import Settings
from cogorch_dagster.tuning.registration import register_agents
from cogorch_dagster.tuning.verdicts import mark
from tests.cli.conftest import Inside, Run
from tests.tuning.registered_training import short_fleet, trained

FIRST, SECOND = "agent-policy@1", "agent-policy@2"


def test_versions_are_listed_shown_compared_named_and_measured_again(
    cogorch: Run, inside: Inside, mlflow_database: Settings, tmp_path: Path
) -> None:
    assert "cogorch agents train" in inside("registry", "list").output
    agents = trained(mlflow_database, learning=("policy",)).agents
    for study in ("s1", "s2"):
        register_agents(mlflow_database, agents, short_fleet(), study=study)
    (listed,) = cogorch("registry", "list", "--json").json["versions"]
    assert (listed["name"], listed["version"], listed["lineage"]["study"]) == ("agent-policy", 2, "s2")

    named = inside("registry", "alias", "agent-policy", "champion", "1")
    assert named.output == f"{FIRST} is champion\n"
    version = find(mlflow_database, FIRST)
    shown = inside("registry", "show", "agent-policy@champion").output
    assert "checkpoint.safetensors" in shown and FIRST in shown
    assert f"{version.metrics['reward']:.6g}\n" in shown
    assert f"{version.digest[:19]}\n" in shown and version.digest not in shown
    assert listed["metrics"] == dict(version.metrics), "JSON is exact"
    mark(mlflow_database, {"policy": agents["policy"].digest}, BEATS_STATIC, True)
    rows = [line.split() for line in inside("registry", "list", "agent-policy").output.splitlines()]
    assert rows[0][2:5] == ["aliases", "beats", "static"]
    assert [(row[0], *row[3:5]) for row in rows[1:]] == [(SECOND, "candidate", "yes"), (FIRST, "champion", "yes")]
    compared = inside("registry", "compare", FIRST, SECOND).output
    assert [line.split()[:4] for line in compared.splitlines()[1:]] == [["lineage", "study", "s1", "s2"]], compared

    assert "the same, bit for bit" in inside("registry", "evaluate", FIRST).output
    plot = tmp_path / "beside.png"
    beside = cogorch("registry", "evaluate", FIRST, SECOND, "--seeds", "2", "--plot", plot, "--json")
    assert beside.code == 0 and beside.json["comparisons"]["reward"]["seeds"] == 2, beside.err
    assert plot.read_bytes().startswith(b"\x89PNG")

    pruned = inside("registry", "prune").output
    assert pruned == "removed 0 files and 0 unfinished registrations\nold reward models: none\n"
    assert inside("registry", "address").stdout == f"{database_url(mlflow_database)}\n"

    unknown = inside("registry", "show", "agent-policy@7").exception
    assert isinstance(unknown, Refused) and unknown.reason == "unknown_version"


def test_a_wrong_argument_gives_one_clear_error_without_a_database(cogorch: Run, inside: Inside) -> None:
    without = cogorch("registry", "list")
    assert without.code == 4 and "Run `cogorch setup`, which creates it" in without.err
    assert "Traceback" not in without.err
    for arguments, message in (
        (("alias", "agent-policy", "best", "1"), "there is no alias 'best'"),
        (("evaluate", FIRST, "--plot", "a.png"), "name a second one"),
    ):
        wrong = inside("registry", *arguments).exception
        assert isinstance(wrong, InvalidInput) and message in str(wrong), arguments
