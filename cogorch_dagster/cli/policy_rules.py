"""`cogorch policy mode` and `strictness`: who approves the versions of a policy, and how far they may go."""

from dataclasses import asdict
from typing import Annotated

import typer

from cogorch_dagster.cli import policy_hints
from cogorch_dagster.cli.output import ActorOption, JsonOption, Output, acting, examples, load_settings
from cogorch_dagster.cli.policy_options import ReasonOption


def register(app: typer.Typer) -> None:
    """Add both to `cogorch policy`."""
    app.command(
        short_help="Who approves the versions of a policy.",
        epilog=examples(
            "cogorch policy mode router-core autonomous_threshold --threshold 0.05 --reason 'good for months'",
            "cogorch policy mode router-core manual --reason 'before the migration'",
        ),
    )(mode)
    app.command(
        short_help="How far versions may go.",
        epilog=examples(
            "cogorch policy strictness agent-policy strict --reason 'it runs well'",
            "cogorch policy strictness agent-policy wide --reason 'a longer horizon'",
        ),
    )(strictness)


def mode(
    policy_id: Annotated[str, typer.Argument(metavar="POLICY")],
    mode: Annotated[str, typer.Argument(help="manual, autonomous_threshold or autonomous_all.")],
    *,
    reason: ReasonOption,
    threshold: Annotated[
        float | None, typer.Option(help="Approve by rule when the evidence's lower bound reaches it, 0 to 1.")
    ] = None,
    actor: ActorOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say who approves the versions of a policy: a person, a rule above a threshold, or always the rule."""
    out = Output(as_json)
    from cogorch_dagster.platform.database import transaction
    from cogorch_dagster.policies import administration

    with transaction(load_settings()) as connection:
        policy = administration.set_mode(
            connection,
            policy_id,
            mode,  # type: ignore[arg-type]  # the store checks it and names the possible ones
            threshold=threshold,
            actor=acting(actor),
            reason=reason,
        )
    out.result(policy, lambda: print(f"{policy.policy_id}: {policy.mode}, threshold {policy.threshold:g}"))


def strictness(
    policy_id: Annotated[str, typer.Argument(metavar="POLICY")],
    level: Annotated[str, typer.Argument(help="strict, standard or wide.")],
    *,
    reason: ReasonOption,
    actor: ActorOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say how far versions of an agent's hyperparameters may go: bounds and largest steps, in every mode.

    Approvals that wait are held to the new level; what is in force stays.
    """
    out = Output(as_json)
    from cogorch_dagster.platform.database import transaction
    from cogorch_dagster.policies import administration, store
    from cogorch_dagster.policies.parameter import check_level

    with transaction(load_settings()) as connection:
        before = store.policy(connection, policy_id)
        policy_hints.require_bounded(before)
        policy = administration.set_strictness(
            connection, policy_id, check_level(level), actor=acting(actor), reason=reason
        )
        active = store.active(connection, policy_id)
    unchanged = before.strictness == policy.strictness
    outside = policy_hints.outside(policy, active.params) if active else []

    def print_it() -> None:
        print(f"{policy.policy_id}: {policy.strictness}{', unchanged' if unchanged else ''}")
        if active and outside:
            print(f"{active.ref} stays in force, though outside of it:")
            print("\n".join(outside))

    out.result({**asdict(policy), "unchanged": unchanged, "outside": outside}, print_it)
