"""One evaluation of a ramp: read, judge, and move it if that is what follows.

Reading and judging hold no lock. The move reads the ramp again under its policy's lock and does nothing when somebody
else has moved it, so any number of processes may evaluate the same ramp.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import sqlalchemy as sa

from cogorch_dagster.canary.judging import Opinion, opinion
from cogorch_dagster.errors import Refused
from cogorch_dagster.evaluation.trial import read_trial
from cogorch_dagster.platform.database import transaction
from cogorch_dagster.policies import canary, decisions, flags, ramps, store
from cogorch_dagster.policies.activation import Activation
from cogorch_dagster.policies.ramps import Ramp
from cogorch_dagster.settings import Settings

REASON_LIMIT = 2000

Move = Literal["held", "advanced", "activated", "rolled_back", "overtaken"]


@dataclass(frozen=True)
class Evaluated:
    """What one evaluation came to.

    Attributes:
        ramp: as it was judged.
        move: `overtaken` when somebody else had moved the ramp meanwhile.
        verdict: the document that was kept, see `judging.Opinion.document`; `waits_for` says why a ramp was held.
    """

    ramp: Ramp
    move: Move
    verdict: dict[str, Any]


def evaluate_all(settings: Settings, not_since: datetime | None = None) -> list[Evaluated]:
    """Evaluate every running ramp, one after the other.

    Args:
        not_since: leave out those that somebody has judged after this moment.
    """
    with transaction(settings) as connection:
        running = ramps.all_running(connection)
    due = [each for each in running if not_since is None or each.judged_at is None or each.judged_at <= not_since]
    return [evaluate(settings, each) for each in due]


def evaluate(settings: Settings, ramp: Ramp, now: datetime | None = None) -> Evaluated:
    """Judge a ramp by what is known now and move it."""
    with transaction(settings) as connection:
        edited = _edited(connection, ramp)
    found = read_trial(settings, ramp.policy_id, ramp.control, ramp.version, ramp.started_at)
    formed = opinion(found, ramp)
    verdict = formed.document()
    objection = edited or formed.objection
    if edited:
        verdict = {**verdict, "verdict": "invalid", "reason": edited}
    if objection:
        return _ended(settings, ramp, objection, verdict)
    with transaction(settings) as connection:
        learning = flags.get_flag(connection, flags.LEARNING)
    waits_for = waiting_for(ramp, formed, now or datetime.now(UTC), learning=learning)
    if waits_for:
        return _held(settings, ramp, waits_for, verdict)
    consent = formed.consent(ramp.plan.params.max_reward_drop)
    try:
        with transaction(settings) as connection:
            moved = canary.advance(connection, ramp, canary.RULE, consent[:REASON_LIMIT], verdict)
    except Refused as refusal:
        # A guard rule or an incident holds the ramp where it is; so does another judge who was faster.
        return _held(settings, ramp, refusal.reason, verdict)
    return Evaluated(ramp, "activated" if isinstance(moved, Activation) else "advanced", verdict)


def _ended(settings: Settings, ramp: Ramp, objection: str, verdict: dict[str, Any]) -> Evaluated:
    try:
        with transaction(settings) as connection:
            canary.abort(connection, ramp, canary.RULE, objection[:REASON_LIMIT], verdict)
    except Refused:
        # Moved meanwhile: the next evaluation objects again, to what it is by then.
        return Evaluated(ramp, "overtaken", verdict)
    return Evaluated(ramp, "rolled_back", verdict)


def _held(settings: Settings, ramp: Ramp, waits_for: str, verdict: dict[str, Any]) -> Evaluated:
    verdict = {**verdict, "waits_for": waits_for}
    with transaction(settings) as connection:
        noted = canary.note(connection, ramp, verdict)
    return Evaluated(ramp, "held" if noted else "overtaken", verdict)


def waiting_for(ramp: Ramp, formed: Opinion, now: datetime, *, learning: bool) -> str | None:
    """What a ramp against which nothing speaks still waits for; None when it may go on.

    One of `traffic` (none at this share), `samples`, `evidence`, `time`, `learning` (the kill switch), `person` (a
    gate). Without traffic nothing passes, however much was seen at the shares before.
    """
    plan = ramp.plan.params
    if formed.asked_at_step == 0:
        return "traffic"
    if min(formed.at_step) < plan.min_samples:
        return "samples"
    if not formed.passes(plan.max_reward_drop):
        return "evidence"
    if now - ramp.step_started_at < timedelta(milliseconds=plan.stage_duration_ms):
        return "time"
    if not learning:
        return "learning"
    return "person" if ramp.gated else None


def _edited(connection: sa.Connection, ramp: Ramp) -> str | None:
    """Why the version is no longer what was approved, if so."""
    version = store.version(connection, ramp.policy_id, ramp.version)
    try:
        decisions.require_digest(version, decisions.decision(connection, ramp.decision_id).digest)
    except Refused as refusal:
        return str(refusal)
    return None
