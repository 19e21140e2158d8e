"""`cogorch policy`: policies and their versions as they stand; proposing, deciding and the rules are beside it."""

import json
from typing import TYPE_CHECKING, Annotated

import typer

from cogorch_dagster.cli import policy_decisions, policy_hints, policy_proposing, policy_rules
from cogorch_dagster.cli.output import JsonOption, Output, examples, fields, load_settings, table, text
from cogorch_dagster.cli.policy_options import RefArgument
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
        "cogorch policy rollback router-core@1.0.0 --reason 'more errors since 9'",
    ),
)


@app.command(
    "list",
    short_help="Every policy, and what waits.",
    epilog=examples("cogorch policy list", "cogorch policy list --json"),
)
def list_(
    kind: Annotated[str | None, typer.Option(help="Only of this kind, such as router.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Every policy: mode and strictness, the version in force, and what waits for a decision or its activation."""
    out = Output(as_json)
    from cogorch_dagster.platform.database import transaction
    from cogorch_dagster.policies import decisions, store
    from cogorch_dagster.policies.kinds import model_of

    if kind is not None:
        model_of(kind)
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


@app.command(
    short_help="A version and its evidence.",
    epilog=examples("cogorch policy show router-core", "cogorch policy show router-core@1.0.1 --json"),
)
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
    short_help="What differs between two versions.",
    epilog=examples("cogorch policy diff router-core@1.0.1", "cogorch policy diff router-core@1.0.0 router-core@1.0.2"),
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


policy_proposing.register(app)
policy_decisions.register(app)
policy_rules.register(app)


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
