"""Versions that ramp: their moves become runs, so that verdicts show; and a ramp that nobody judges is judged here."""

from datetime import UTC, datetime, timedelta

import dagster as dg
from pydantic import BaseModel

from jobs.gate import canary_step
from resources.installation import CogorchResource
from sensors import cursors

# The service judges every two seconds; without it the daemon does, in its own tick, since a run takes seconds to start.
UNATTENDED = timedelta(seconds=12)


class RampsState(BaseModel):
    """`shown` is the state of all ramps that the latest run was asked to show."""

    shown: str = ""


@dg.sensor(
    job=canary_step,
    minimum_interval_seconds=10,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Judges ramps where the service does not, and shows each move and each new verdict as a run.",
)
def running_ramps(context: dg.SensorEvaluationContext, cogorch: CogorchResource) -> dg.SensorResult:
    """Asks for one run for each change of a ramp: begun, moved, another verdict, ended."""
    from cogorch_dagster.platform.database import transaction
    from cogorch_dagster.policies import ramps

    state = cursors.read(context, RampsState)
    with transaction(cogorch.settings) as connection:
        running = bool(ramps.all_running(connection))
    if running:
        from cogorch_dagster.canary import stepping

        for each in stepping.evaluate_all(cogorch.settings, not_since=datetime.now(UTC) - UNATTENDED):
            context.log.info(f"{each.ramp.ref} {each.move}: {each.verdict['reason']}")
    with transaction(cogorch.settings) as connection:
        latest = ramps.ramps(connection, limit=20)
    now = ";".join(
        f"{each.decision_id}:{each.step}:{each.outcome}:{(each.verdict or {}).get('verdict')}"
        f":{(each.verdict or {}).get('waits_for')}"
        for each in latest
    )
    if not latest or now == state.shown:
        return dg.SensorResult(skip_reason="a version ramps, nothing new" if running else "no version ramps")
    cursors.write(context, RampsState(shown=now))
    moment = datetime.now(UTC).isoformat(timespec="seconds")
    return dg.SensorResult(run_requests=[dg.RunRequest(run_key=f"{latest[0].decision_id}:{moment}")])
