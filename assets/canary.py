"""Versions that take over traffic by steps: what their judges say, and that somebody judges them."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import dagster as dg

from assets.policy_versions import policy_versions
from assets.presentation import moment, shown, table
from resources.installation import CogorchResource

if TYPE_CHECKING:
    from cogorch_dagster.policies.ramps import Ramp

SHOWN = timedelta(hours=24)
RAMP_COLUMNS = {
    "version": "what takes over",
    "control": "version that stays in force meanwhile",
    "state": "ramping, activated or rolled_back",
    "share": "of the traffic, at its latest step",
    "verdict": "of the sequential test",
    "waits_for": "traffic, samples, evidence, time, learning, person",
    "difference": "mean reward of the canary minus the control's",
    "low": "of its always-valid interval",
    "high": "of its always-valid interval",
    "n_control": "rewards",
    "n_canary": "rewards",
    "since": "of this state, UTC",
    "reason": "in a sentence",
}
GUARDRAIL_COLUMNS = {
    "version": "what takes over",
    "guardrail": "metric that must not get worse by more than a margin",
    "state": "held, breached or undecided",
    "difference": "canary minus control",
    "low": "of its always-valid interval",
    "high": "of its always-valid interval",
    "reason": "in a sentence",
}


@dg.asset(
    deps=[policy_versions],
    group_name="act",
    kinds={"postgres"},
    owners=["team:operations"],
    tags={"cogorch/gate": "canary"},
)
def canary(context: dg.AssetExecutionContext, cogorch: CogorchResource) -> dg.MaterializeResult[None]:
    """Judges every running ramp by what was observed until now, moves it if that follows, and shows the verdicts.

    The service does the same every two seconds; this is its face, and the net beneath it.
    """
    from cogorch_dagster.canary import stepping
    from cogorch_dagster.platform.database import transaction
    from cogorch_dagster.policies import ramps

    moves = stepping.evaluate_all(cogorch.settings)
    since = datetime.now(UTC) - SHOWN
    with transaction(cogorch.settings) as connection:
        recent = [each for each in ramps.ramps(connection) if each.ended_at is None or each.ended_at > since]
    for each in moves:
        context.log.info(f"{each.ramp.ref} {each.move} at {each.ramp.share:.0%}: {each.verdict['reason']}")
    said = ", ".join(f"{each.ramp.ref} {each.move} at {each.ramp.share:.0%}" for each in moves)
    return dg.MaterializeResult(
        metadata={
            "outcome": dg.MetadataValue.text(said or "no version ramps"),
            "ramps": table([_ramp_row(each) for each in recent], RAMP_COLUMNS),
            "guardrails": table([row for each in recent for row in _guardrail_rows(each)], GUARDRAIL_COLUMNS),
            "running": sum(each.outcome is None for each in recent),
        }
    )


@dg.asset_check(asset=canary)
def canaries_sound(cogorch: CogorchResource) -> dg.AssetCheckResult:
    """No ramp was rolled back within a day, each running one is judged, and none waits without traffic.

    A rollback is a warning that stays for a day: the fleet is safe, somebody should know why. A ramp that nobody judges
    is an error; its canary is no longer served by then.
    """
    from cogorch_dagster.platform.database import transaction
    from cogorch_dagster.policies import ramps

    now = datetime.now(UTC)
    with transaction(cogorch.settings) as connection:
        found = ramps.ramps(connection)
    back = [each for each in found if each.outcome == "rolled_back" and each.ended_at and now - each.ended_at < SHOWN]
    running = [each for each in found if each.outcome is None]
    unjudged = [each for each in running if now > each.unjudged_from]
    silent = [each for each in running if (each.verdict or {}).get("waits_for") == "traffic"]
    problems = [
        *(f"{each.ref} is judged by nobody since {moment(each.judged_at or each.started_at)}." for each in unjudged),
        *(f"{each.ref} was rolled back at {each.share:.0%}: {each.reason}" for each in back),
        *(f"{each.ref} waits at {each.share:.0%} without traffic." for each in silent),
    ]
    return dg.AssetCheckResult(
        passed=not problems,
        severity=dg.AssetCheckSeverity.ERROR if unjudged else dg.AssetCheckSeverity.WARN,
        description=" ".join(problems) or f"{len(running)} versions ramp, nothing speaks against them.",
        metadata={"ramps": table([_ramp_row(each) for each in [*running, *back]], RAMP_COLUMNS)},
    )


def _ramp_row(ramp: "Ramp") -> dict[str, object]:
    verdict = ramp.verdict or {}
    low, high = verdict.get("interval") or (None, None)
    return {
        "version": ramp.ref,
        "control": ramp.control,
        "state": ramp.outcome or "ramping",
        "share": ramp.share,
        "verdict": verdict.get("verdict"),
        "waits_for": None if ramp.outcome else verdict.get("waits_for"),
        "difference": shown(verdict.get("difference")),
        "low": shown(low),
        "high": shown(high),
        "n_control": verdict.get("n_control"),
        "n_canary": verdict.get("n_canary"),
        "since": moment(ramp.ended_at or ramp.step_started_at),
        "reason": ramp.reason or verdict.get("reason"),
    }


def _guardrail_rows(ramp: "Ramp") -> list[dict[str, object]]:
    rows = []
    for each in (ramp.verdict or {}).get("guardrails", []):
        low, high = each["interval"] or (None, None)
        rows.append(
            {
                "version": ramp.ref,
                "guardrail": each["name"],
                "state": each["state"],
                "difference": shown(each["difference"]),
                "low": shown(low),
                "high": shown(high),
                "reason": each["reason"],
            }
        )
    return rows
