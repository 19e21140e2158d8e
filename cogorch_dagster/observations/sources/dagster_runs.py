"""Runs of an orchestrator's jobs as observations: every installation has its own to learn from.

Only plain facts come in; the Dagster layer reads them from its instance.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cogorch_dagster.observations.schema import Observation, Outcome

SOURCE = "dagster"
_OUTCOMES: dict[str, Outcome] = {"SUCCESS": "success", "FAILURE": "failure", "CANCELED": "cancelled"}
# Tags that say who or what started a run; the others are internal to Dagster or may hold anything.
_KEPT_TAGS = (
    "dagster/schedule_name",
    "dagster/sensor_name",
    "dagster/backfill",
    "dagster/partition",
    "cogorch/trigger",
)


@dataclass(frozen=True)
class RunFacts:
    """What is known of one run. `status` is Dagster's name of it, such as SUCCESS; times are aware."""

    run_id: str
    job_name: str
    status: str
    started_at: datetime | None
    ended_at: datetime | None
    tags: Mapping[str, str] = field(default_factory=dict)


def observation(run: RunFacts) -> Observation | None:
    """The observation of a finished run; None for one that has not ended, or that ended before it started."""
    outcome = _OUTCOMES.get(run.status)
    if outcome is None or run.started_at is None or run.ended_at is None:
        return None
    retry = run.tags.get("dagster/retry_number", "0")
    return Observation(
        source=SOURCE,
        source_id=run.run_id,
        occurred_at=run.started_at,
        component=f"dagster:{run.job_name}",
        component_kind="service",
        decision_id=run.tags.get("dagster/root_run_id", run.run_id),
        attempt=int(retry) + 1 if retry.isdecimal() else None,
        outcome=outcome,
        error_type="run_failure" if outcome == "failure" else None,
        duration_ms=max(0.0, (run.ended_at - run.started_at) / timedelta(milliseconds=1)),
        tags={name: run.tags[name] for name in _KEPT_TAGS if name in run.tags} or None,
    )
