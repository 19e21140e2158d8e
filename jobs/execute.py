"""Run one job of the code location in this process, recorded in the installation's Dagster instance.

    python -m jobs.execute learning_loop 2026-01-01T00:10 2026-01-01T01:20

For scripts, such as the demo's, that want a job's outcome when it ends, without a daemon. The last line of stdout is
a JSON object with the run's id, what each asset said, and the results of the checks; Dagster's log goes to stderr.
"""

import argparse
import json
import sys
import time
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from assets.partitions import range_tags
from cogorch_dagster.lake.hours import floor_hour

SCORING = ("observations", "rewards", "rollups", "rolling_stats")


def execute(
    name: str, first: datetime | None, last: datetime | None, *, since: datetime | None, score_only: bool
) -> dict[str, Any]:
    """Run a job on the instance that `DAGSTER_HOME` names.

    Args:
        first, last: the hours to materialise, for a job with partitions.
        since: evidence of proposals comes from decisions after this moment; every candidate that waits is replaced.
        score_only: of the learning loop everything but the proposals.
    """
    from cogorch_dagster.definitions import defs

    config: dict[str, Any] = {}
    if since is not None:
        config = {"ops": {"policy_versions": {"config": {"since": since.isoformat(), "keep_waiting_minutes": 0}}}}
    begun = time.monotonic()
    with dg.DagsterInstance.get() as instance:
        result = defs.resolve_job_def(name).execute_in_process(
            instance=instance,
            run_config=config,
            tags=range_tags(floor_hour(first), floor_hour(last)) if first and last else None,
            asset_selection=[dg.AssetKey(asset) for asset in SCORING] if score_only else None,
            raise_on_error=False,
        )
    return {
        "job": name,
        "run_id": result.run_id,
        "success": result.success,
        "seconds": round(time.monotonic() - begun, 2),
        "assets": _assets(result),
        "checks": [
            {
                "name": check.check_name,
                "passed": check.passed,
                "severity": check.severity.value,
                "description": check.description,
            }
            for check in result.get_asset_check_evaluations()
        ],
        "error": _error(result),
    }


def _assets(result: dg.ExecuteInProcessResult) -> dict[str, str]:
    """What each asset's `outcome` says, empty where it has none; one entry however many partitions."""
    said: dict[str, str] = {}
    for event in result.get_asset_materialization_events():
        materialization = event.step_materialization_data.materialization
        outcome = materialization.metadata.get("outcome")
        said[materialization.asset_key.to_user_string()] = str(outcome.value) if outcome else ""
    return said


def _error(result: dg.ExecuteInProcessResult) -> str | None:
    failures = [event for event in result.all_events if event.is_step_failure]
    if not failures:
        return None if result.success else "the run failed before its first step"
    data = failures[0].step_failure_data
    described = data.user_failure_data.description if data.user_failure_data else None
    return described or (data.error.message.strip() if data.error else "a step failed")


def main() -> int:
    """The command line; exit code 1 when the run failed."""
    parser = argparse.ArgumentParser(prog="python -m jobs.execute", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("job")
    parser.add_argument("first", nargs="?", type=_moment, help="a moment in the first hour")
    parser.add_argument("last", nargs="?", type=_moment, help="a moment in the last hour")
    parser.add_argument("--since", type=_moment, help="evidence of proposals from here on")
    parser.add_argument("--score-only", action="store_true", help="of the learning loop everything but proposals")
    chosen = parser.parse_args()
    last = chosen.last or chosen.first
    outcome = execute(chosen.job, chosen.first, last, since=chosen.since, score_only=chosen.score_only)
    print(json.dumps(outcome))
    return 0 if outcome["success"] else 1


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


if __name__ == "__main__":
    sys.exit(main())
