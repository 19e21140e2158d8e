"""kill -9 in the middle of an import or a drain: the state is consistent, and the next run completes it exactly."""

import os
import signal
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from cogorch_dagster.lake import files
from cogorch_dagster.observations import inbox
from cogorch_dagster.observations.importing import import_file
from cogorch_dagster.observations.parsing import parse_feedback
from cogorch_dagster.observations.schema import Observation
from cogorch_dagster.platform import database
from cogorch_dagster.settings import Settings
from tests.forked import Forking
from tests.observations.conftest import START

Stored = Callable[..., list[dict[str, Any]]]
ROWS = 240


def run_killed(forking: Forking, folder: Path, *arguments: str) -> None:
    driver = Path(__file__).with_name("killed.py")
    said = folder / "killed.out", folder / "killed.err"
    code = forking.run(str(driver), arguments, driver.parents[2], os.environ, said)
    assert code == -signal.SIGKILL, said[1].read_text()


@pytest.mark.parametrize(
    ("point", "present"),
    [
        ("while reading", 0),
        ("before the quarantine", 0),
        ("before the first file", 0),
        ("after the second file", 0),
        ("after naming the second file", 0),
        ("before the commit", 0),
        ("after the first commit", 120),
        ("before the second commit", 120),
    ],
)
def test_an_import_killed(
    settings: Settings, forking: Forking, tmp_path: Path, stored: Stored, point: str, present: int
) -> None:
    path = tmp_path / "rows.csv"
    lines = ["source_id,occurred_at,component,component_kind,outcome,duration_ms"]
    for number in range(ROWS):
        moment = (START + timedelta(minutes=number)).isoformat()
        lines.append(f"{number},{moment},c,service,{'failure' if number % 10 == 0 else 'success'},1")
    lines.append("bad,row,c,service,success,1")
    path.write_text("\n".join(lines))

    run_killed(forking, tmp_path, "import", point, str(path))
    assert len(stored()) == present

    report = import_file(settings, path, source="mine")
    assert (report.read, report.added, report.duplicates, report.rejected) == (ROWS + 1, ROWS - present, present, 1)
    rows = stored()
    assert sorted(int(row["source_id"]) for row in rows) == list(range(ROWS))
    assert sum(row["outcome"] == "failure" for row in rows) == ROWS // 10
    assert report.quarantine is not None
    assert [item.suffix for item in Path(report.quarantine).parent.iterdir()] == [".jsonl"]
    assert list((settings.home / "staging").iterdir()) == []
    files.delete_unreferenced(settings, timedelta(0))
    assert stored() == rows
    again = import_file(settings, path, source="mine")
    assert (again.added, again.duplicates) == (0, ROWS)


@pytest.mark.parametrize(
    "point",
    [
        "before the first file",
        "after naming the second file",
        "before the inbox is emptied",
        "after the inbox is emptied",
        "after both inboxes are emptied",
    ],
)
def test_a_drain_killed(
    settings: Settings,
    forking: Forking,
    tmp_path: Path,
    observe: Callable[..., list[Observation]],
    stored: Stored,
    point: str,
) -> None:
    rows = observe(150)
    judged = parse_feedback(
        {"observation_id": row.observation_id, "metric": "quality", "value": 1, "occurred_at": row.occurred_at}
        for row in rows
    ).records
    with database.transaction(settings) as connection:
        inbox.enqueue(connection, rows)
        inbox.enqueue_feedback(connection, judged)

    run_killed(forking, tmp_path, "drain", point)
    assert stored() == []
    with database.transaction(settings) as connection:
        assert inbox.depth(connection) == 300

    drained = inbox.drain(settings)
    assert (drained.observations, drained.feedback, drained.duplicates) == (150, 150, 0)
    assert sorted(row["source_id"] for row in stored()) == sorted(row.source_id for row in rows)
    assert len(stored("feedback")) == 150
    files.delete_unreferenced(settings, timedelta(0))
    assert len(stored()) == len(stored("feedback")) == 150
    with database.transaction(settings) as connection:
        assert inbox.depth(connection) == 0
