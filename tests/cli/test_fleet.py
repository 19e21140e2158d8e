"""`cogorch fleet`: a calibration from the lake, its picture, and the latest one again."""

from pathlib import Path

from cogorch_dagster.settings import Settings
from tests.cli.conftest import Run
from tests.fleet.calibration.test_stored import BEGIN, END, fill


def test_calibrate_and_show(cogorch: Run, settings: Settings, tmp_path: Path) -> None:
    fill(settings)
    picture = tmp_path / "fits.png"
    period = ("--since", BEGIN.isoformat(), "--until", END.isoformat())
    ran = cogorch("fleet", "calibrate", *period, "--plot", picture, "--json")
    assert ran.code == 0, ran.err
    assert ran.json["added"] and ran.json["drift"] is None and ran.json["rows"] > 1000
    assert picture.read_bytes().startswith(b"\x89PNG") and picture.stat().st_size < 20_000
    shown = cogorch("fleet", "show")
    assert shown.code == 0 and "tenant chat: input_tokens" in shown.out and ran.json["digest"] in shown.out


def test_wrong_arguments_and_nothing_to_show(cogorch: Run) -> None:
    refused = cogorch("fleet", "calibrate", "--replicas", "small=none")
    assert refused.code == 2 and "MODEL=N" in refused.err
    empty = cogorch("fleet", "show")
    assert empty.code == 2 and "cogorch fleet calibrate" in empty.err
    for name, warned in (("smal", True), ("small", False)):
        ran = cogorch("fleet", "calibrate", "--replicas", f"{name}=2", "--json")
        assert ran.code == 0 and (f"--replicas {name}: no such model" in ran.err) is warned
