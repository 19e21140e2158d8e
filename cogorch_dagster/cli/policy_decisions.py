"""`cogorch policy approve`, `reject`, `rollback` and `activate`: what becomes of a version."""

from dataclasses import asdict
from typing import Annotated

import typer

from cogorch_dagster.cli import policy_hints
from cogorch_dagster.cli.output import ActorOption, JsonOption, Output, acting, examples, load_settings, say, text
from cogorch_dagster.cli.policy_options import ReasonOption, RefArgument

DigestOption = Annotated[
    str | None, typer.Option(help="The digest that you have seen; refused when the version has another one.")
]


def register(app: typer.Typer) -> None:
    """Add them to `cogorch policy`."""
    for command, summary, example in (
        (approve, "Approve a draft.", "approve router-core@1.0.1 --reason 'cheaper, same quality'"),
        (reject, "Reject a draft.", "reject router-core@1.0.1 --reason 'too few decisions'"),
        (rollback, "Return to an older version.", "rollback router-core@1.0.0 --reason 'more errors since 9'"),
        (activate, "Put a decided version into force.", "activate router-core@1.0.1"),
    ):
        app.command(short_help=summary, epilog=examples(f"cogorch policy {example}"))(command)


def approve(
    ref: RefArgument,
    reason: ReasonOption,
    digest: DigestOption = None,
    actor: ActorOption = None,
    as_json: JsonOption = False,
) -> None:
    """Approve a draft. It comes into force with its activation: by the daemon at once, or `cogorch policy activate`."""
    _decide("approve", ref, reason, digest=digest, actor=actor, out=Output(as_json))


def reject(
    ref: RefArgument,
    reason: ReasonOption,
    digest: DigestOption = None,
    actor: ActorOption = None,
    as_json: JsonOption = False,
) -> None:
    """Reject a draft, or an approved version that is not in force yet."""
    _decide("reject", ref, reason, digest=digest, actor=actor, out=Output(as_json))


def rollback(
    ref: RefArgument,
    reason: ReasonOption,
    digest: DigestOption = None,
    actor: ActorOption = None,
    as_json: JsonOption = False,
) -> None:
    """Decide to return to an older version; activated like an approval, also while learning is switched off."""
    _decide("rollback", ref, reason, digest=digest, actor=actor, out=Output(as_json))


def activate(ref: RefArgument, actor: ActorOption = None, as_json: JsonOption = False) -> None:
    """Put a decided version into force, where no daemon does it; refused without an approval or rollback decision."""
    out = Output(as_json)
    from cogorch_dagster.platform.database import transaction
    from cogorch_dagster.policies.activation import activate as put_into_force
    from cogorch_dagster.policies.document import parse_ref

    with transaction(load_settings()) as connection:
        policy_hints.require_version(connection, ref)
        parse_ref(ref)
        done = put_into_force(connection, ref, acting(actor))
    before = f", {done.policy_id}@{done.previous} is no longer" if done.previous else ""
    said = f"is in force since {text(done.activated_at)}{before}"
    if done.share < 1:
        said = f"begins with {done.share:.0%} of the traffic beside {done.policy_id}@{done.previous}"
    out.result(done, lambda: print(f"{done.policy_id}@{done.version} {said}"))
    if done.share < 1:
        say(f"Next: cogorch canary status {done.policy_id}")


def _decide(action: str, ref: str, reason: str, *, digest: str | None, actor: str | None, out: Output) -> None:
    from cogorch_dagster.platform import run_state
    from cogorch_dagster.platform.database import transaction
    from cogorch_dagster.policies import decisions, flags, store
    from cogorch_dagster.policies.document import parse_ref

    settings = load_settings()
    decide = {"approve": decisions.approve, "reject": decisions.reject, "rollback": decisions.rollback}[action]
    policy_id, version = parse_ref(ref)
    with transaction(settings) as connection:
        decision = decide(connection, policy_id, version, acting(actor), reason, digest=digest)
        expired = decisions.expired_by(connection, decision)
        chosen, current = store.version(connection, policy_id, version), store.active(connection, policy_id)
        held = action == "approve" and not flags.get_flag(connection, flags.LEARNING)
    done = {"approve": "approved", "reject": "rejected", "rollback": "decided: roll back to"}[action]
    shown = {**asdict(decision), "expired": expired}
    out.result(shown, lambda: print(f"{done} {decision.ref} (decision {decision.decision_id})"))
    for each in expired:
        say(f"{each}, approved before and not yet activated, has expired by this: only the latest decision counts.")
    if action == "approve" and (hint := policy_hints.new_architecture(current, chosen)):
        say(hint)
    if held:
        say(f"It waits: the kill switch {flags.LEARNING} is off, and no approval is activated until it is on again.")
    elif decision.waits:
        by_daemon = "The daemon activates it within seconds." if run_state.is_up(settings) else ""
        say(by_daemon or f"Next: cogorch policy activate {decision.ref} (the daemon of `cogorch up` does it by itself)")
