"""`cogorch causal`: from a file to a graph, and every question that one may ask of it."""

import csv
import json
import os
import pty
import select
import signal
import subprocess
import time
from pathlib import Path

import pytest

from cogorch_dagster.causal.discovery.settings import DiscoverySettings
from cogorch_dagster.causal.insights.parameters import document_of
from cogorch_dagster.causal.versions import building
from cogorch_dagster.causal.versions import store as causal_store
from cogorch_dagster.platform.database import transaction
from cogorch_dagster.policies import drafts, store
from cogorch_dagster.settings import Settings
from tests.causal.samples import QUEUE_ON_LATENCY, REPLICAS_ON_QUEUE, START, autoscaled, routed
from tests.cli.conftest import COMMAND, Run

KNOWN = """\
tiers: [[load], ["context:replicas"], [queue_ms], [latency_ms], [reward]]
"""


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """The rows of an autoscaler, and what is known of them."""
    data, known = tmp_path / "fleet.csv", tmp_path / "known.yaml"
    sample = autoscaled(600)
    with data.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["at", *sample.names])
        for at, row in zip(sample.times, sample.values, strict=True):
            writer.writerow([at, *(f"{value:.9g}" for value in row)])
    known.write_text(KNOWN)
    return data, known


def test_a_file_becomes_a_graph_that_answers(
    cogorch: Run, settings: Settings, files: tuple[Path, Path], tmp_path: Path
) -> None:
    data, known = files
    picture = tmp_path / "graph.svg"
    given = ("--data", data, "--time", "at", "--knowledge", known, "--resamples", 40, "--plot", picture)
    ran = cogorch("causal", "discover", *given, "--json")
    assert ran.code == 0, ran.err
    (version,) = ran.json["versions"]
    assert version["added"] and version["against"] is None and b"<svg" in picture.read_bytes()
    assert "context:replicas -> queue_ms" in {each["text"] for each in version["edges"]}
    again = cogorch("causal", "discover", *given, "--json").json["versions"][0]
    assert again["digest"] == version["digest"] and not again["added"]

    shown = cogorch("causal", "graph")
    assert "load -> context:replicas" in shown.out and version["digest"] in shown.out
    listed = cogorch("causal", "graph", "--all", "--json").json["versions"]
    assert [(each["version"], each["latest"]) for each in listed] == [(version["digest"], True)]

    effect = cogorch("causal", "effect", "context:replicas", "latency_ms", "--json").json
    low, high = effect["estimate"]["interval"]
    assert low < REPLICAS_ON_QUEUE * QUEUE_ON_LATENCY < high < 0
    assert effect["claim"] == "causal" and effect["estimand"]["adjustment"] == ["load"]
    told = cogorch("causal", "effect", "context:replicas", "latency_ms", "--version", version["digest"][:16])
    assert "adjusted for load" in told.out and "A hidden confounder would have to explain" in told.out

    set_to = ("--set", "context:replicas=9", "--of", "latency_ms")
    (answer,) = cogorch("causal", "whatif", *set_to, "--json").json["answers"]
    assert answer["interval"][0] < answer["change"] < answer["interval"][1] < 0
    at_row = cogorch("causal", "counterfactual", "--at", 7, *set_to, "--json").json
    assert at_row["answers"][0]["before"] == pytest.approx(autoscaled(600).column("latency_ms")[6])
    first = cogorch("causal", "bottlenecks", "latency_ms", "--json").json
    assert first["better"] == "lower" and first["edges"][0]["gain"]["value"] < 0
    assert "queue_ms -> latency_ms" in cogorch("causal", "bottlenecks", "latency_ms").out


def test_what_the_graph_does_not_tell_ends_with_3_and_says_what_would_help(
    cogorch: Run, settings: Settings, files: tuple[Path, Path]
) -> None:
    data, known = files
    known.write_text(KNOWN + "latents: [[load, queue_ms], [queue_ms, latency_ms]]\n")
    given = ("--data", data, "--knowledge", known, "--algorithm", "boss", "--resamples", 10)
    assert cogorch("causal", "discover", *given).code == 0
    refused = cogorch("causal", "effect", "load", "queue_ms")
    assert refused.code == 3 and "is not identified" in refused.out and "To get there" in refused.out
    # What load moves is moved by nothing that is hidden: an instrument answers where a regression cannot.
    moved = cogorch("causal", "effect", "queue_ms", "latency_ms")
    assert moved.code == 0 and "By the instrument" in moved.out
    silent = cogorch("causal", "whatif", "--set", "queue_ms=10", "--of", "latency_ms", "--json")
    assert silent.code == 3 and silent.json["answers"][0]["not_identified"]["reason"] == "hidden_confounder"


def test_wrong_arguments_are_named_and_nothing_is_kept(cogorch: Run, files: tuple[Path, Path], tmp_path: Path) -> None:
    data, _ = files
    empty = tmp_path / "empty.csv"
    empty.write_text("")
    contradictory = tmp_path / "wrong.yaml"
    contradictory.write_text(KNOWN + "required: [[reward, load]]\n")
    misspelt = tmp_path / "misspelt.yaml"
    misspelt.write_text("tiers: [[laod]]\n")
    for arguments, message in (
        (("discover", "--data", empty), "empty"),
        (
            ("discover", "--data", data, "--knowledge", contradictory),
            "reward -> load is required, but reward is in tier",
        ),
        (("discover", "--data", data, "--knowledge", misspelt), "knowledge names laod"),
        (("discover", "--data", data, "--algorithm", "magic"), "must be one of auto, boss"),
        (("discover", "--data", data, "--plot", "x.doc"), "must end in"),
        (("discover", "--data", data, "-c", "x"), "a graph is of a file or of a component"),
        (("discover", "--bucket", "7q"), "is not a length of time"),
        (("discover", "--data", data, "--plot", tmp_path / "none" / "x.png"), "is no folder"),
        (("graph",), "run `cogorch causal discover`"),
        (("graph", "--version", "latest"), "is no digest"),
        (("whatif", "--set", "load"), "there is no graph yet"),
    ):
        ran = cogorch("causal", *arguments)
        assert ran.code == 2 and message in ran.err, (arguments, ran)
    assert cogorch("causal", "graph", "--all", "--json").json == {"versions": []}


def test_questions_with_wrong_names_are_answered_with_the_right_ones(
    cogorch: Run, settings: Settings, files: tuple[Path, Path]
) -> None:
    data, known = files
    assert cogorch("causal", "discover", "--data", data, "--knowledge", known, "--resamples", 10).code == 0
    for arguments, message in (
        (("effect", "replicas", "latency_ms"), "context:replicas"),
        (("effect", "load", "load"), "load"),
        (("whatif", "--set", "load"), "is not NAME=VALUE"),
        (("whatif", "--shift", "load=much"), "no number"),
        (("whatif",), "changes nothing"),
        (("whatif", "--set", "load=1", "--set", "load=2"), "gives load twice"),
        (("why", "latency_ms"), "is of the file"),
        (("counterfactual", "--at", START.isoformat(), "--set", "load=1"), "found by their numbers"),
        (("counterfactual", "--at", "601", "--set", "load=1"), "numbered 1 to 600"),
        (("bottlenecks", "load"), "say --better lower or higher"),
        (("why", "latency_ms", "-c", "nobody"), "no graph of 'nobody'"),
    ):
        ran = cogorch("causal", *arguments)
        assert ran.code == 2 and message in ran.err, (arguments, ran)


def _rest(terminal: int) -> bytes:
    """What a terminal still has, empty where the other side is closed."""
    try:
        return os.read(terminal, 10_000) if select.select([terminal], [], [], 0.1)[0] else b""
    except OSError:
        return b""


@pytest.mark.parametrize("after_s", [0.1, 0.6])
def test_ctrl_c_within_compiled_code_is_130_and_keeps_nothing(
    settings: Settings, files: tuple[Path, Path], after_s: float
) -> None:
    data, known = files
    arguments = ("--data", str(data), "--knowledge", str(known), "--resamples", "100000")
    # On a terminal progress is shown, by which one sees that the search has begun.
    terminal, end = pty.openpty()
    child = subprocess.Popen(
        [*COMMAND, "causal", "discover", *arguments], cwd=data.parent, stdout=subprocess.PIPE, stderr=end, text=True
    )
    os.close(end)
    try:
        shown = b""
        while b"resample" not in shown:
            shown += os.read(terminal, 1000)
        time.sleep(after_s)
        child.send_signal(signal.SIGINT)
        while child.poll() is None:
            shown += _rest(terminal)
        shown += _rest(terminal)
    finally:
        child.kill()
        os.close(terminal)
    assert child.returncode == 130, shown
    assert child.stdout is not None and child.stdout.read() == "" and b"Traceback" not in shown
    with transaction(settings) as connection:
        assert causal_store.listing(connection) == []


def test_a_component_without_enough_data_is_left_out(cogorch: Run, seeded: Settings) -> None:
    ran = cogorch("causal", "discover", "--json")
    assert ran.code == 2 and "no component has rewards" in json.loads(ran.out)["error"]["message"]


def test_a_draft_shows_what_the_graph_says_of_it(cogorch: Run, seeded: Settings) -> None:
    version = building.build_and_keep(seeded, routed(), discovery=DiscoverySettings(resamples=10)).version
    with transaction(seeded) as connection:
        active = store.versions(connection, "router-core")[-1]
    weights = {"small": 0.4, "medium": 0.3, "large": 0.3}
    before = {"modelWeights": {"small": 0.5, "medium": 0.3, "large": 0.2}}
    evidence = {"estimate": -0.2, "ci95": [-0.21, -0.19]}
    evidence["causal"] = document_of(version, before, {"modelWeights": weights}, evidence)
    with transaction(seeded) as connection:
        draft = drafts.propose_version(
            connection, "router-core", {**active.params, "modelWeights": weights}, evidence, actor="test"
        )
    shown = cogorch("policy", "show", draft.ref)
    assert shown.code == 0, shown.err
    for part in ("modelWeights.large", "share:large", "no variable of the graph", "THEY DISAGREE", version.digest[:19]):
        assert part in shown.out
