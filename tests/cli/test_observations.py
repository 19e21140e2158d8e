"""Files in, statistics out, through the command line."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cogorch_dagster.settings import Settings
from tests.cli.conftest import Run

NOW = datetime.now(UTC).replace(microsecond=0)


def _rows(count: int = 40) -> list[dict[str, object]]:
    return [
        {
            "source_id": f"r{number}",
            "occurred_at": (NOW - timedelta(minutes=10, seconds=number)).isoformat(),
            "component": "router:test",
            "component_kind": "llm_router",
            "outcome": "failure" if number % 10 == 0 else "success",
            "durationMs": 100 + number,
            "costUsd": 0.001,
        }
        for number in range(count)
    ]


def _file(tmp_path: Path, rows: list[dict[str, object]], name: str = "rows.jsonl") -> Path:
    file = tmp_path / name
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def test_import_twice_then_look(cogorch: Run, seeded: Settings, tmp_path: Path) -> None:
    bad = {**_rows(1)[0], "source_id": "bad", "outcome": "sucess"}
    file = _file(tmp_path, [*_rows(), bad])
    first = cogorch("observations", "import", file, "--source", "test", "--json")
    assert first.code == 0
    report = first.json
    assert {name: report[name] for name in ("read", "added", "duplicates", "rejected")} == {
        **{"read": 41, "added": 40},
        **{"duplicates": 0, "rejected": 1},
    }
    assert report["by_outcome"] == {"success": 36, "failure": 4}
    assert f"{file}:41: " in first.err
    assert "sucess" in first.err
    assert Path(report["quarantine"]).read_text().count("\n") == 1
    second = cogorch("observations", "import", file, "--source", "test", "--json").json
    assert (second["added"], second["duplicates"], second["by_outcome"]) == (0, 40, {})

    rows = cogorch("stats", "--window", "24h", "--json").json
    assert [(row["component"], row["n"], row["window"]) for row in rows] == [("router:test", 40, "24h")]
    assert rows[0]["success_rate"] == 0.9
    assert set(rows[0]) == {
        *("component", "component_kind", "policy_id", "policy_version", "window", "as_of", "n", "scored"),
        *("success_rate", "success_rate_se", "p50_ms", "p95_ms"),
        *("mean_cost", "mean_cost_se", "mean_reward", "mean_reward_se"),
    }
    table = cogorch("stats", "--component", "router:test").out
    assert "90.00 %" in table
    assert "router:test" in table

    shown = cogorch("observations", "show", "--outcome", "failure", "--limit", "2", "--json").json
    assert [row["outcome"] for row in shown["observations"]] == ["failure", "failure"]
    assert (shown["stored"], shown["waiting"]) == (40, 0)
    times = [row["occurred_at"] for row in shown["observations"]]
    assert times == sorted(times, reverse=True)
    one = cogorch("observations", "show", shown["observations"][0]["observation_id"], "--json").json
    assert one["observation"] == shown["observations"][0]
    assert one["feedback"] == []
    assert one["reward"]["reward_policy_id"] == "reward-llm_router"


def test_statistics_of_a_fleet_that_fell_silent_end_at_its_newest_hour(
    cogorch: Run, seeded: Settings, tmp_path: Path
) -> None:
    rows = [{**row, "occurred_at": f"2026-01-05T10:00:{number:02d}Z"} for number, row in enumerate(_rows(5))]
    assert cogorch("observations", "import", _file(tmp_path, rows), "--source", "old").code == 0
    ran = cogorch("stats", "--json")
    assert "end there, not now" in ran.err
    assert {row["as_of"] for row in ran.json} == {"2026-01-05T11:00:00+00:00"}
    asked = cogorch("stats", "--as-of", "2026-01-04T00:00:00Z", "--json")
    assert asked.json == []
    assert "No scored observations" in asked.err


def test_statistics_without_refresh_tell_of_the_hours_that_wait(cogorch: Run, seeded: Settings, tmp_path: Path) -> None:
    cogorch("observations", "import", _file(tmp_path, _rows(3)), "--source", "test")
    ran = cogorch("stats", "--no-refresh", "--json")
    assert ran.json == []
    assert "1 hour waits for scoring" in ran.err


def test_files_that_cannot_be_used(cogorch: Run, seeded: Settings, tmp_path: Path) -> None:
    empty = tmp_path / "empty.csv"
    empty.write_text("")
    unknown = tmp_path / "unknown.csv"
    unknown.write_text("colour,size\nred,1\n")
    folder = tmp_path / "exports"
    folder.mkdir()
    a_folder = f"{folder} is a folder; give a file of it, one import each: CSV, JSONL or Parquet"
    for file, message in (
        (empty, "empty.csv"),
        (unknown, "colour"),
        (folder, a_folder),
        (folder.as_uri(), a_folder),
        ("", "'' has no ending"),
    ):
        ran = cogorch("observations", "import", file, "--source", "s")
        assert (ran.code, ran.out) == (2, "")
        assert message in ran.err
        assert "Traceback" not in ran.err
    ran = cogorch("observations", "import", unknown, "--preset", "nobody")
    assert ran.code == 2
    assert "gentd26" in ran.err
    all_bad = _file(tmp_path, [{**row, "outcome": "?"} for row in _rows(3)])
    ran = cogorch("observations", "import", all_bad, "--source", "s", "--json")
    assert (ran.code, ran.json["rejected"], ran.json["added"]) == (1, 3, 0)


def test_an_observation_that_is_not_stored(cogorch: Run, seeded: Settings) -> None:
    for wrong in ("nonsense", "0193a755-c788-74c3-a3e1-fd953af2a4f5"):
        ran = cogorch("observations", "show", wrong)
        assert ran.code == 2
        assert wrong in ran.err
    ran = cogorch("observations", "show", "--outcome", "lost")
    assert ran.code == 2
    assert "cancelled" in ran.err
