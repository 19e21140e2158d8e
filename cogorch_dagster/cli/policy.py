"""`cogorch policy`: versions of policies, from the proposal to the decision and the activation."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cogorch_dagster.cli import policy_hints
from cogorch_dagster.cli.output import (
    ActorOption,
    JsonOption,
    Output,
    acting,
    examples,
    fields,
    load_settings,
    moment,
    say,
    table,
    text,
)
from cogorch_dagster.cli.policy_view import listed, plain, show_changes, show_rules, show_version

if TYPE_CHECKING:
    import sqlalchemy as sa

    from cogorch_dagster.policies.store import PolicyVersion

app = typer.Typer(
    help="Policies and their versions: look, propose, decide, activate.",
    no_args_is_help=True,
    epilog=examples(
        "cogorch policy list",
        "cogorch policy propose router-core",
        "cogorch policy approve router-core@1.0.1 --reason 'cheaper, same quality'",
        "cogorch policy rollback router-core@1.0.0 --reason 'more errors since this morning'",
    ),
)

RefArgument = Annotated[str, typer.Argument(metavar="POLICY@VERSION", help="Such as router-core@1.0.1.")]
ReasonOption = Annotated[str, typer.Option(help="Kept with the decision and in the audit log.")]
DigestOption = Annotated[
    str | None, typer.Option(help="The digest that you have seen; refused when the version has another one.")
]


@app.command("list", epilog=examples("cogorch policy list", "cogorch policy list --json"))
def list_(
    kind: Annotated[str | None, typer.Option(help="Only router, autoscaler, canary, reward, ...")] = None,
    as_json: JsonOption = False,
) -> None:
    """Every policy: mode and strictness, the version in force, and what waits for a decision or its activation."""
    out = Output(as_json)
    from cogorch_dagster.platform.database import transaction
    from cogorch_dagster.policies import decisions, store

    with transaction(load_settings()) as connection:
        policies = store.policies(connection, kind)
        versions = store.versions(connection)
        waiting = {decision.policy_id: decision for decision in decisions.waiting(connection)}
    shown = [listed(policy, versions, waiting.get(policy.policy_id)) for policy in policies]
    columns = ("policy", "kind", "component", "mode", "strictness", "active", "drafts", "decided")
    rows = [
        (
            *(each["policy_id"], each["kind"], each["component"], each["mode"], each["strictness"], each["active"]),
            " ".join(v["version"] for v in each["versions"] if v["status"] == "draft") or None,
            each["waiting"] and f"{each['waiting']['action']} {each['waiting']['version']}",
        )
        for each in shown
    ]
    out.result({"policies": shown}, lambda: table(columns, rows))


@app.command(epilog=examples("cogorch policy show router-core", "cogorch policy show router-core@1.0.1 --json"))
def show(
    target: Annotated[str, typer.Argument(metavar="POLICY[@VERSION]", help="Without a version: the one in force.")],
    as_json: JsonOption = False,
) -> None:
    """A version: status, parameters, digest, evidence, decisions, the policy's rules; and all versions of a policy."""
    out = Output(as_json)
    from cogorch_dagster.platform.database import transaction
    from cogorch_dagster.policies import decisions, store

    with transaction(load_settings()) as connection:
        version = _version(connection, target)
        policy = store.policy(connection, version.policy_id)
        made = decisions.decisions_of(connection, version.policy_id, version.version)
        why = policy_hints.why_expired(connection, version)
        others = [] if "@" in target else store.versions(connection, version.policy_id)

    def print_it() -> None:
        show_version(version)
        if why:
            fields([("expired", f"{text(version.ended_at)}: {why}")])
        show_rules(policy)
        for decision in made:
            fields([(decision.action, f"{text(decision.decided_at)} by {decision.actor}: {decision.reason}")])
        print(json.dumps(version.params, indent=2, ensure_ascii=False))
        if others:
            rows = [(v.version, v.status, v.parent, v.created_by, v.created_at, v.activated_at) for v in others]
            table(("version", "status", "parent", "by", "created", "activated"), rows)

    shown = {**plain(version), "policy": policy, "decisions": made, "why_expired": why}
    out.result(shown, print_it)


@app.command(
    epilog=examples("cogorch policy diff router-core@1.0.1", "cogorch policy diff router-core@1.0.0 router-core@1.0.2")
)
def diff(
    ref: RefArgument,
    other: Annotated[
        str | None, typer.Argument(metavar="[POLICY@VERSION]", help="Default: REF against its parent.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """What differs between two versions: from the first to the second, or from the parent to the one named."""
    out = Output(as_json)
    from cogorch_dagster.platform.database import transaction
    from cogorch_dagster.policies import store
    from cogorch_dagster.policies.diff import diff as compare

    with transaction(load_settings()) as connection:
        after = _version(connection, other or ref)
        before = _version(connection, ref) if other else None
        if before is None and after.parent is not None:
            before = store.version(connection, after.policy_id, after.parent)
    changes = compare(before.params if before else {}, after.params)
    value = {"from": before and before.ref, "to": after.ref, "changes": changes}
    title = f"{before.ref if before else 'nothing'} -> {after.ref}"
    out.result(value, lambda: show_changes(title, changes))


@app.command(
    epilog=examples(
        "cogorch policy propose router-core",
        "cogorch policy propose router-core --params weights.yaml --json",
    )
)
def propose(
    policy_id: Annotated[str, typer.Argument(metavar="POLICY")],
    *,
    params: Annotated[Path | None, typer.Option(help="YAML or JSON with parameters of your own.")] = None,
    since: Annotated[str | None, typer.Option(help="Learn from decisions from this time on, ISO 8601, UTC.")] = None,
    until: Annotated[str | None, typer.Option(help="Learn from decisions before this time.")] = None,
    seed: Annotated[int | None, typer.Option(help="Of the search; default 0.")] = None,
    step_limit: Annotated[float | None, typer.Option(help="Largest change of one weight; default 0.5.")] = None,
    minimum_gain: Annotated[
        float | None, typer.Option(help="Least lower 95 % bound of the improvement; default 0.01.")
    ] = None,
    minimum_ess: Annotated[float | None, typer.Option(help="Least effective sample size; default 50.")] = None,
    actor: ActorOption = None,
    as_json: JsonOption = False,
) -> None:
    """Propose a version: learned from what was observed, or with --params one of your own.

    Exit code 3 when nothing can be proposed; the reason is printed, with --json as {"refusal": {"reason", "message"}}.
    """
    out = Output(as_json)
    from cogorch_dagster.errors import InvalidInput, Refused

    learned = _given(since=moment(since), until=moment(until), seed=seed)
    limits = _given(step_limit=step_limit, minimum_gain=minimum_gain, minimum_ess=minimum_ess)
    if params is not None and (learned or limits):
        names = ", ".join(f"--{name.replace('_', '-')}" for name in (*learned, *limits))
        raise InvalidInput(f"{names} belong to a learned proposal; leave them out with --params")
    try:
        if params is not None:
            version = _propose_params(policy_id, params, acting(actor))
        else:
            version = _propose_learned(policy_id, learned, limits, acting(actor))
    except Refused as refusal:
        say(f"refused ({refusal.reason}): {refusal}")
        shown = {"reason": refusal.reason, "message": str(refusal), "evidence": getattr(refusal, "evidence", {})}
        out.result({"policy_id": policy_id, "reason": refusal.reason, "refusal": shown}, lambda: None)
        raise typer.Exit(refusal.exit_code) from None
    _report_proposal(out, version)


@app.command(epilog=examples("cogorch policy approve router-core@1.0.1 --reason 'cheaper, same quality'"))
def approve(
    ref: RefArgument,
    reason: ReasonOption,
    digest: DigestOption = None,
    actor: ActorOption = None,
    as_json: JsonOption = False,
) -> None:
    """Approve a draft. It comes into force with its activation: by the daemon at once, or `cogorch policy activate`."""
    _decide("approve", ref, reason, digest=digest, actor=actor, out=Output(as_json))


@app.command(epilog=examples("cogorch policy reject router-core@1.0.1 --reason 'too few decisions in the evening'"))
def reject(
    ref: RefArgument,
    reason: ReasonOption,
    digest: DigestOption = None,
    actor: ActorOption = None,
    as_json: JsonOption = False,
) -> None:
    """Reject a draft, or an approved version that is not in force yet."""
    _decide("reject", ref, reason, digest=digest, actor=actor, out=Output(as_json))


@app.command(epilog=examples("cogorch policy rollback router-core@1.0.0 --reason 'more errors since this morning'"))
def rollback(
    ref: RefArgument,
    reason: ReasonOption,
    digest: DigestOption = None,
    actor: ActorOption = None,
    as_json: JsonOption = False,
) -> None:
    """Decide to return to an older version; activated like an approval, also while learning is switched off."""
    _decide("rollback", ref, reason, digest=digest, actor=actor, out=Output(as_json))


@app.command(epilog=examples("cogorch policy activate router-core@1.0.1"))
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


@app.command(
    epilog=examples(
        "cogorch policy mode router-core autonomous_threshold --threshold 0.05 --reason 'three good months'",
        "cogorch policy mode router-core manual --reason 'before the migration'",
    )
)
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
    from cogorch_dagster.policies import store

    with transaction(load_settings()) as connection:
        policy = store.set_mode(
            connection,
            policy_id,
            mode,  # type: ignore[arg-type]  # the store checks it and names the possible ones
            threshold=threshold,
            actor=acting(actor),
            reason=reason,
        )
    out.result(policy, lambda: print(f"{policy.policy_id}: {policy.mode}, threshold {policy.threshold:g}"))


@app.command(
    epilog=examples(
        "cogorch policy strictness agent-policy strict --reason 'it runs well as it is'",
        "cogorch policy strictness agent-policy wide --reason 'to try a far longer horizon'",
    )
)
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
    from cogorch_dagster.policies import store
    from cogorch_dagster.policies.parameter import check_level

    with transaction(load_settings()) as connection:
        before = store.policy(connection, policy_id)
        policy_hints.require_bounded(before)
        policy = store.set_strictness(connection, policy_id, check_level(level), actor=acting(actor), reason=reason)
        active = store.active(connection, policy_id)
    unchanged = before.strictness == policy.strictness
    outside = policy_hints.outside(policy, active.params) if active else []

    def print_it() -> None:
        print(f"{policy.policy_id}: {policy.strictness}{', unchanged' if unchanged else ''}")
        if active and outside:
            print(f"{active.ref} stays in force, though outside of it:")
            print("\n".join(outside))

    out.result({**asdict(policy), "unchanged": unchanged, "outside": outside}, print_it)


def _decide(action: str, ref: str, reason: str, *, digest: str | None, actor: str | None, out: Output) -> None:
    from cogorch_dagster.platform import supervisor
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
        by_daemon = "The daemon activates it within seconds." if supervisor.is_up(settings) else ""
        say(by_daemon or f"Next: cogorch policy activate {decision.ref} (the daemon of `cogorch up` does it by itself)")


def _propose_params(policy_id: str, params: Path, actor: str) -> "PolicyVersion":
    from cogorch_dagster.errors import InvalidInput
    from cogorch_dagster.platform.database import transaction
    from cogorch_dagster.policies import store
    from cogorch_dagster.policies.params_file import params_from_file

    with transaction(load_settings()) as connection:
        policy = store.policy(connection, policy_id)
        try:
            document = params_from_file(params, policy.kind)
        except InvalidInput as error:
            # The schema knows neither the level nor the version in force.
            hints = policy_hints.possible_now(connection, policy, str(error))
            raise InvalidInput("\n".join([str(error), *hints])) from error
        return store.propose_version(connection, policy_id, document, actor=actor)


def _propose_learned(policy_id: str, learned: dict[str, Any], limits: dict[str, Any], actor: str) -> "PolicyVersion":
    from cogorch_dagster.observations import inbox
    from cogorch_dagster.platform import supervisor
    from cogorch_dagster.platform.database import transaction
    from cogorch_dagster.policies import store
    from cogorch_dagster.proposals import router
    from cogorch_dagster.proposals.limits import Limits
    from cogorch_dagster.proposals.requirements import Insufficient

    settings = load_settings()
    with transaction(settings) as connection:
        policy_hints.require_learnable(store.policy(connection, policy_id))
    if not supervisor.is_up(settings):
        # Without the daemon nobody else moves what the service has accepted.
        inbox.drain(settings)
    answer = router.propose(settings, policy_id, limits=Limits(**limits), actor=actor, **learned)
    if isinstance(answer, router.Refusal):
        raise Insufficient(answer.reason, answer.message, answer.evidence)
    return answer.version


def _given(**options: object) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def _report_proposal(out: Output, version: "PolicyVersion") -> None:
    from cogorch_dagster.platform.database import transaction
    from cogorch_dagster.policies import store
    from cogorch_dagster.policies.diff import diff as compare

    with transaction(load_settings()) as connection:
        parent = store.version(connection, version.policy_id, version.parent) if version.parent else None
    changes = compare(parent.params if parent else {}, version.params)

    def print_it() -> None:
        show_version(version)
        show_changes(f"{parent.ref if parent else 'nothing'} -> {version.ref}", changes)

    out.result({**plain(version), "changes": changes}, print_it)
    if hint := policy_hints.new_architecture(parent, version):
        say(hint)
    if version.status == "draft":
        say(f"Next: cogorch policy approve {version.ref} --reason '...'")


def _version(connection: "sa.Connection", target: str) -> "PolicyVersion":
    """The version that a reference names, or the one in force of a policy."""
    from cogorch_dagster.errors import Refused
    from cogorch_dagster.policies import store
    from cogorch_dagster.policies.document import parse_ref

    if "@" in target:
        return store.version(connection, *parse_ref(target))
    store.policy(connection, target)
    active = store.active(connection, target)
    if active is None:
        raise Refused("none_active", f"{target} has no version in force; name one, as in {target}@1.0.0")
    return active
