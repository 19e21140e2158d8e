from pathlib import Path

from cogorch_dagster.observations.importing import import_file
from cogorch_dagster.rewards.materialise import materialise_rewards, materialise_rollups, stale_hours
from cogorch_dagster.rewards.rolling import rolling_stats
from cogorch_dagster.settings import Settings
from tests.rewards.samples import HOUR, stored


def test_hundreds_of_sparse_hours_of_real_traffic(settings: Settings, realdata: Path) -> None:
    report = import_file(settings, realdata / "gentd26" / "requests.csv", preset="gentd26")
    hours = stale_hours(settings)
    assert hours == report.hours
    assert len(hours) == 370
    assert materialise_rewards(settings, hours).rows == 26_790
    materialise_rollups(settings, hours)
    assert stale_hours(settings) == []
    rewards, rollups = stored(settings, "rewards"), stored(settings, "rollups")
    by_outcome = {
        outcome: [row["score"] for row in rewards if row["outcome"] == outcome] for outcome in ("success", "failure")
    }
    assert {outcome: len(scores) for outcome, scores in by_outcome.items()} == {"success": 26_392, "failure": 398}
    assert max(by_outcome["failure"]) < min(by_outcome["success"])
    assert sum(row["n"] for row in rollups) == 26_823
    assert sum(row["n_pending"] for row in rollups) == 33
    day = [row for row in rolling_stats(settings, hours[-1] + HOUR) if row.window == "24h" and not row.policy_version]
    assert sum(row.n for row in day) == sum(row["n"] for row in rollups if row["hour"] > hours[-1] - 24 * HOUR)
