import os
import signal
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cogorch_dagster.lake import catalogue, files
from cogorch_dagster.platform.database import transaction
from cogorch_dagster.policies.kinds import RewardParams
from cogorch_dagster.rewards.materialise import materialise_rewards, materialise_rollups, stale_hours
from cogorch_dagster.settings import Settings
from tests.forked import Forking
from tests.rewards.samples import HOUR, NOON, hours_of, observation, reference, scores, store, stored

ROOT = Path(__file__).parent.parent.parent
# Two small hours, a large one that streams (interrupted.py says what is large), two small ones.
SIZES = (5, 8, 40, 6, 3)
# Where to die: before or after the nth call of a function.
POINTS = [
    ("cogorch_dagster.lake.files", "write", 2, "before"),
    ("cogorch_dagster.lake.files", "write", 2, "after"),
    ("cogorch_dagster.lake.files", "settle", 3, "before"),
    ("cogorch_dagster.lake.catalogue", "replace_hours", 1, "after"),
    ("cogorch_dagster.lake.catalogue", "replace_hours", 2, "before"),
    ("cogorch_dagster.rewards.hourly", "score", 3, "before"),
    ("cogorch_dagster.rewards.hourly", "roll_up", 2, "after"),
    ("cogorch_dagster.lake.catalogue", "replace_hours", 5, "after"),
]


def committed(settings: Settings, dataset: Any) -> dict[datetime, int]:
    with transaction(settings) as connection:
        return {entry.hour: entry.rows for entry in catalogue.entries(connection, dataset)}


@pytest.mark.parametrize(("module", "function", "number", "moment"), POINTS)
def test_a_killed_run_leaves_whole_hours_and_the_next_one_completes_it(
    settings: Settings, forking: Forking, tmp_path: Path, module: str, function: str, number: int, moment: str
) -> None:
    observations = [
        observation(NOON + hour * HOUR, duration_ms=100.0 * row, outcome="failure" if row % 4 == 3 else "success")
        for hour, size in enumerate(SIZES)
        for row in range(size)
    ]
    store(settings, *observations)
    program, said = Path(__file__).with_name("interrupted.py"), (tmp_path / "killed.out", tmp_path / "killed.err")
    killed = forking.run(str(program), [module, function, str(number), moment], ROOT, os.environ, said)
    assert killed == -signal.SIGKILL, said[1].read_text()

    sizes = dict(zip(hours_of(observations), SIZES, strict=True))
    rewards, rollups = committed(settings, "rewards"), committed(settings, "rollups")
    assert rewards == {hour: sizes[hour] for hour in rewards}
    counted = Counter()
    for row in stored(settings, "rollups"):
        counted[row["hour"]] += row["n"]
    assert counted == {hour: sizes[hour] for hour in rollups}
    assert stale_hours(settings) == [hour for hour in sizes if hour not in rollups] != []
    expected = {
        str(o.observation_id): pytest.approx(reference(RewardParams(), o.outcome, None, o.duration_ms, o.cost_amount))
        for o in observations
    }
    found = scores(settings)
    assert found == {key: expected[key] for key in found}

    materialise_rewards(settings, stale_hours(settings))
    materialise_rollups(settings, stale_hours(settings))
    assert scores(settings) == expected
    assert sum(row["n"] for row in stored(settings, "rollups")) == len(observations)
    assert stale_hours(settings) == []
    files.delete_unreferenced(settings, timedelta(0))
    with transaction(settings) as connection:
        named = catalogue.referenced_files(connection)
    root = Path(settings.lake_root)
    assert {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()} == named
