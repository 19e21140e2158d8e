"""`cogorch features`: built, listed, shown and measured on decisions in a lake."""

import pytest

from cogorch_dagster.settings import Settings
from tests.cli.conftest import Run
from tests.evaluation.traffic import install
from tests.features.test_building import START, traffic


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
    found = cogorch("features", "gain", "router-core", "--since", START.isoformat(), "--json")
    assert found.code == 0, found.err
    # The version in force is what was logged: there is nothing to gain, whatever the features are worth.
    gain = found.json["gain"]
    assert gain["ratio"] == pytest.approx(1, abs=0.1) and gain["features"] == len(built.json["selected"])
    assert gain["without"]["decisions"] == gain["with_features"]["decisions"] and "a fairer test" in found.err
