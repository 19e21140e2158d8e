"""`cogorch evaluate` on decisions in a lake: estimates, slices, overlap, pictures, and refusals with exit code 3."""

import json
from datetime import timedelta
from pathlib import Path

import pytest
import yaml

from cogorch_dagster.features import store as features_store
from cogorch_dagster.platform.database import transaction
from cogorch_dagster.settings import Settings
from tests.cli.conftest import Inside, Run
from tests.evaluation.traffic import ARMS, ROUTER, START, WEIGHTS, generate, install
from tests.features.sets import handmade
from tests.features.test_building import traffic

EVEN = {"small": 0.4, "medium": 0.4, "large": 0.2}


def written(tmp_path: Path, **changes: object) -> Path:
    file = tmp_path / "new.yaml"
    file.write_text(yaml.safe_dump({**ROUTER, **changes}))
    return file


def test_a_file_is_evaluated_against_the_version_in_force(cogorch: Run, settings: Settings, tmp_path: Path) -> None:
    install(settings)
    generate(WEIGHTS, 700, seed=1).store(settings)
    file, picture = written(tmp_path, modelWeights=EVEN), tmp_path / "forest.png"
    ran = cogorch("evaluate", "--policy", file, "--since", "7d", "--plot", picture, "--json")
    assert ran.code == 0, ran.err
    found = ran.json
    assert (found["log_of"], found["baseline"], found["refusal"]) == ("router-core", "router-core@1.0.0", None)
    assert set(found["estimators"]) == {"ips", "snips", "dm", "dr", "switch", "dros"}
    for each in found["estimators"].values():
        assert each["ci95"][0] < each["value"] < each["ci95"][1]
    # The cheap arms earn more here, as the traffic was made.
    assert found["difference"]["found"] and found["difference"]["interval"][0] > 0
    assert {each["arm"] for each in found["overlap"]} == set(ARMS)
    assert sum(each["target_share"] for each in found["overlap"]) == pytest.approx(1)
    assert [(each["slicing"], each["label"]) for each in found["slices"]] == [
        ("tenant", "tenant-a"),
        ("tenant", "tenant-b"),
    ]
    assert sum(each["decisions"] for each in found["slices"]) == found["decisions"]
    assert found["effective_sample_size"] < found["decisions"]
    assert picture.read_bytes().startswith(b"\x89PNG")

    shown = cogorch("evaluate", "--policy", "router-core@1.0.0", "--since", "24h")
    assert shown.code == 0, shown.err
    assert "tenant tenant-b" in shown.out and "snips" in shown.out and "minus router-core@1.0.0" in shown.out


def test_what_the_log_cannot_answer_is_refused(cogorch: Run, settings: Settings, tmp_path: Path) -> None:
    install(settings)
    generate(WEIGHTS, 200, seed=2).store(settings)
    file = written(tmp_path, modelWeights={"small": 0.5, "new": 0.5})
    ran = cogorch("evaluate", "--policy", file, "--json")
    assert ran.code == 3
    assert (ran.json["reason"], ran.json["refusal"]["reason"]) == ("arm_never_logged", "arm_never_logged")
    assert "new (" in ran.json["refusal"]["message"]
    assert ran.json["estimators"] == {}
    assert "Traceback" not in ran.err

    none = cogorch("evaluate", "--policy", written(tmp_path), "--until", "6d", "--json")
    assert (none.code, none.json["reason"]) == (3, "too_few_decisions")


def test_wrong_arguments_are_named(cogorch: Run, settings: Settings, tmp_path: Path) -> None:
    install(settings)
    file = written(tmp_path)
    assert "router" in cogorch("evaluate", "--policy", "reward-test@1.0.0").err
    for plot, why in (("forest.txt", "must end in .png, .svg, .pdf"), ("none/a.png", "none is no folder")):
        refused = cogorch("evaluate", "--policy", file, "--plot", plot, "--json")
        # Before the decisions are looked at, which are too few.
        assert (refused.code, refused.json["error"]["kind"]) == (2, "invalid_input")
        assert why in refused.json["error"]["message"]
    unknown = cogorch("evaluate", "--policy", "router-core@1.0.0", "--log-of", "nobody", "--json")
    assert (unknown.code, unknown.json["error"]["reason"]) == (3, "unknown_policy")
    # Longer than the name of a file may be.
    assert "1 to 100 characters" in cogorch("evaluate", "--policy", "n" * 300 + "@1.0.0").err
    assert "fortnight" in cogorch("evaluate", "--policy", file, "--since", "fortnight").err
    wrong = written(tmp_path, modelWeights={"small": 0.7})
    ran = cogorch("evaluate", "--policy", wrong, "--json")
    assert ran.code == 2
    assert "sum to 0.7" in json.dumps(ran.json)


def test_tenants_with_weights_of_their_own_are_sliced_apart(cogorch: Run, settings: Settings, tmp_path: Path) -> None:
    """The policy changes nothing but tenant-b's weights: tenant-a's difference is exactly 0, tenant-b's is not."""
    install(settings)
    generate(WEIGHTS, 900, seed=3).store(settings)
    found = cogorch("evaluate", "--policy", written(tmp_path, tenantWeights={"tenant-b": EVEN}), "--json").json
    apart = {each["label"]: each["difference"] for each in found["slices"]}
    assert apart["tenant-a"]["value"] == pytest.approx(0, abs=1e-12)
    assert apart["tenant-b"]["found"] and apart["tenant-b"]["value"] > 0


def test_the_evidence_of_a_proposal_shows_every_estimator_and_slice(cogorch: Run, settings: Settings) -> None:
    install(settings)
    generate(WEIGHTS, 700, seed=4).store(settings)
    assert cogorch("policy", "propose", "router-core", "--json").code == 0
    shown = cogorch("policy", "show", "router-core@1.0.1").out
    for name in ("ips", "snips", "dm", "dr", "switch", "dros", "tenant tenant-a", "tenant tenant-b"):
        assert any(line.startswith(name) for line in shown.splitlines()), name


def test_the_features_in_force_are_used_and_named(
    inside: Inside, cogorch: Run, settings: Settings, tmp_path: Path
) -> None:
    install(settings)
    traffic(700, 5).store(settings)
    file, period = written(tmp_path, modelWeights=EVEN), ("--since", START.isoformat())
    plain = inside("evaluate", "--policy", file, *period)
    assert plain.exit_code == 0 and "features" not in plain.output
    built = handmade(settings, START, START + timedelta(seconds=100))
    with transaction(settings) as connection:
        features_store.save(connection, built)
    found = inside("evaluate", "--policy", file, *period)
    assert f"features               {built.digest[:19]}, 2 selected, used for" in found.output
    assert inside("evaluate", "--policy", file, *period, "--features", "none").output == plain.output
    document = cogorch("evaluate", "--policy", file, *period, "--features", built.digest[7:20], "--json").json
    # All that are used but the two hundred of the selection.
    assert document["features"] == {
        "version": built.digest,
        "selected": list(built.selected),
        "decisions": document["decisions"] - 200,
    }
    wrong = inside("evaluate", "--policy", file, *period, "--features", "newest")
    assert "is no digest" in str(wrong.exception)
