"""`cogorch canary`: versions that take over traffic by steps: where they stand, and the word of a person."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from cogorch_dagster.cli.output import ActorOption, JsonOption, Output, acting, examples, fields, load_settings, table

if TYPE_CHECKING:
    from cogorch_dagster.policies.ramps import Ramp

app = typer.Typer(
    help="Versions that ramp: where they stand, go on at a gate, end one.",
    no_args_is_help=True,
    epilog=examples(
        "cogorch canary status",
        "cogorch canary advance router-core --reason 'looked at the errors, they are not ours'",
        "cogorch canary abort router-core --reason 'customers complain'",
    ),
)

PolicyArgument = Annotated[str, typer.Argument(metavar="POLICY", help="Such as router-core.")]
ReasonOption = Annotated[str, typer.Option(help="Kept in the audit log.")]


@app.command(
    short_help="Ramps, with their verdicts.",
    epilog=examples("cogorch canary status", "cogorch canary status router-core --json"),
)
def status(
    policy_id: Annotated[str | None, typer.Argument(metavar="[POLICY]", help="Default: all.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Newest ramps to show.")] = 10,
    as_json: JsonOption = False,
) -> None:
    """Running and ended ramps, the newest first, each with its latest verdict and what it waits for."""
    out = Output(as_json)
    from cogorch_dagster.platform.database import transaction
    from cogorch_dagster.policies import ramps, store

    with transaction(load_settings()) as connection:
        if policy_id is not None:
            store.policy(connection, policy_id)
        found = ramps.ramps(connection, policy_id, limit=limit)

    def print_it() -> None:
        if not found:
            print("no version has ramped; `cogorch policy list --kind canary` shows who would")
            return
        columns = ("version", "control", "state", "share", "verdict", "waits for", "since", "plan")
        table(columns, [_row(each) for each in found])
        for each in found:
            if reason := each.reason or (each.verdict or {}).get("reason"):
                fields([(each.ref, reason)])

    out.result({"ramps": [plain(each) for each in found]}, print_it)


@app.command(
    short_help="Give it its next share now.",
    epilog=examples("cogorch canary advance router-core --reason 'the gate is mine to open'"),
)
def advance(
    policy_id: PolicyArgument, reason: ReasonOption, actor: ActorOption = None, as_json: JsonOption = False
) -> None:
    """Give the version that ramps its next share now: at a gate, or before the evidence suffices.

    After the last share it comes into force. A verdict against it still takes it back.
    """
    out = Output(as_json)
    from cogorch_dagster.platform.database import transaction
    from cogorch_dagster.policies import canary
    from cogorch_dagster.policies.activation import Activation

    with transaction(load_settings()) as connection:
        seen = canary.running(connection, policy_id)
        moved = canary.advance(connection, seen, acting(actor), reason, seen.verdict or {})
    share = 1.0 if isinstance(moved, Activation) else moved.share
    value = {"policy_id": policy_id, "version": moved.version, "from": seen.share, "share": share}
    out.result(
        value, lambda: print(f"{seen.ref} has {share:.0%} of the traffic" + (", in force" if share == 1 else ""))
    )


@app.command(
    short_help="End a ramp at once.", epilog=examples("cogorch canary abort router-core --reason 'customers complain'")
)
def abort(
    policy_id: PolicyArgument, reason: ReasonOption, actor: ActorOption = None, as_json: JsonOption = False
) -> None:
    """End the ramp: all traffic to the active version, at once, also while learning is switched off."""
    out = Output(as_json)
    from cogorch_dagster.platform.database import transaction
    from cogorch_dagster.policies import canary

    with transaction(load_settings()) as connection:
        seen = canary.running(connection, policy_id)
        ended = canary.abort(connection, seen, acting(actor), reason, seen.verdict or {})
    out.result(plain(ended), lambda: print(f"{ended.ref} is rolled back; {policy_id}@{ended.control} has everything"))


def plain(ramp: "Ramp") -> dict[str, Any]:
    """A ramp for JSON."""
    return {
        "ref": ramp.ref,
        "policy_id": ramp.policy_id,
        "version": ramp.version,
        "control": ramp.control,
        "decision_id": ramp.decision_id,
        "plan": ramp.plan.ref,
        "stages": list(ramp.plan.params.stages),
        "step": ramp.step,
        "share": ramp.share,
        "next_share": ramp.next_share,
        "gated": ramp.gated,
        "started_at": ramp.started_at,
        "step_started_at": ramp.step_started_at,
        "judged_at": ramp.judged_at,
        "verdict": ramp.verdict,
        "ended_at": ramp.ended_at,
        "outcome": ramp.outcome,
        "reason": ramp.reason,
    }


def _row(ramp: "Ramp") -> tuple[object, ...]:
    verdict = ramp.verdict or {}
    waits_for = None if ramp.outcome else verdict.get("waits_for")
    state = ramp.outcome or "ramping"
    since = ramp.ended_at or ramp.step_started_at
    return ramp.ref, ramp.control, state, f"{ramp.share:.0%}", verdict.get("verdict"), waits_for, since, ramp.plan.ref
