"""`cogorch features`: built, listed, shown and measured on decisions in a lake."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from cogorch_dagster.features import store as features_store
from cogorch_dagster.platform.database import transaction
from cogorch_dagster.settings import Settings
from tests.cli.conftest import Inside, Run
from tests.evaluation.traffic import install
from tests.features.sets import handmade
from tests.features.test_building import HALF, START, traffic


def test_build_list_show_and_gain(cogorch: Run, settings: Settings) -> None:
    install(settings)
    missing = cogorch("features", "show")
    assert missing.code == 2 and "cogorch features build router-core" in missing.err
    unknown = cogorch("features", "build", "nope")
    assert unknown.code == 3 and "there is no policy 'nope'; known policies: " in unknown.err
    traffic(400, 1).store(settings)
    period = ("--since", START.isoformat(), "--window", "60")
    built = cogorch("features", "build", "router-core", *period, "--json")
    assert built.code == 0, built.err
    assert built.json["added"] and "context.length" in built.json["selected"]
    assert [each["digest"] for each in cogorch("features", "list", "--json").json] == [built.json["digest"]]
    shown = cogorch("features", "show", built.json["digest"][7:19])
    assert shown.code == 0 and "context.length" in shown.out and "kept" in shown.out
    early = cogorch("features", "gain", "router-core")
    assert early.code == 3 and "after the set's period" in early.err and "--since" in early.err
    other_kind = cogorch("features", "gain", "--since", START.isoformat(), "--candidate", "reward-test@1.0.0")
    assert other_kind.code == 2 and "reward-test is of kind reward" in other_kind.err
    found = cogorch("features", "gain", "router-core", "--since", START.isoformat(), "--json")
    assert found.code == 0, found.err
    # The version in force is what was logged: there is nothing to gain, whatever the features are worth.
    gain = found.json["gain"]
    assert gain["ratio"] == pytest.approx(1, abs=0.1) and gain["features"] == len(built.json["selected"])
    assert gain["without"]["decisions"] == gain["with_features"]["decisions"] and "a fairer test" in found.err


def test_a_reward_model_is_fitted_registered_and_repeated(
    inside: Inside, cogorch: Run, mlflow_database: Settings, tmp_path: Path
) -> None:
    settings = mlflow_database
    install(settings)
    traffic(700, 1).store(settings)
    picture = tmp_path / "seen.png"
    period = ("--since", START.isoformat(), "--until", (START + timedelta(seconds=351)).isoformat())
    made = inside("features", "reward-model", "router-core", *period, "--plot", picture)
    assert made.exit_code == 0, made.output
    assert "reward-model-router-core@1 (champion)" in made.output and "first: saves" in made.output
    assert "explained share of the variance" in made.output and "3 columns of the context" in made.output
    assert picture.read_bytes().startswith(b"\x89PNG")
    found = cogorch("features", "reward-model", *period, "--features", "none", "--json").json
    assert (found["version"], found["verdict"]["outcome"]) == ("reward-model-router-core@1", "champion")
    assert found["newest"]["saved"]["low"] > 0 and "context.length" in found["features"]
    again = inside("registry", "evaluate", "reward-model-router-core@champion")
    assert again.exit_code == 0 and "the same, bit for bit" in again.output
    beside = inside("registry", "evaluate", "reward-model-router-core@1", "reward-model-router-core@1")
    assert "saves 0.0000 (0.0000 to 0.0000)" in beside.output
    drawn = inside("registry", "evaluate", *2 * ["reward-model-router-core@1"], "--plot", picture)
    assert "shows agents" in str(drawn.exception)
    with transaction(settings) as connection:
        features_store.save(connection, replace(handmade(settings, START, START + HALF), scope="other"))
        (other,) = features_store.listing(connection)
    wrong = (
        ("--plot", "seen.svg", "must end in .png"),
        ("--plot", "none/seen.png", "none is no folder"),
        ("--features", other.digest[7:20], "is of other"),
    )
    for option, value, said in wrong:
        assert said in str(inside("features", "reward-model", option, value).exception)
