"""`cogorch guard`: rules in Rego that must hold whatever is proposed."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cogorch_dagster.cli.output import ActorOption, JsonOption, Output, acting, examples, load_settings, say, table
from cogorch_dagster.cli.policy_view import plain, show_version

if TYPE_CHECKING:
    from cogorch_dagster.policies.guards.checks import Finding

app = typer.Typer(
    help="Guard rules: what must hold whatever is proposed. They are approved and activated like any policy.",
    no_args_is_help=True,
    epilog=examples(
        "cogorch guard check docs/guards/weight-cap.rego",
        "cogorch guard propose weight-cap docs/guards/weight-cap.rego",
        "cogorch guard test router-core@1.0.1",
    ),
)

FileArgument = Annotated[
    Path, typer.Argument(metavar="FILE", help="A .rego file with metadata, or YAML or JSON with the parameters.")
]


@app.command("list", short_help="The rules.", epilog=examples("cogorch guard list", "cogorch guard list --json"))
def list_(as_json: JsonOption = False) -> None:
    """The rules in force and what they are about."""
    out = Output(as_json)
    from cogorch_dagster.platform.database import transaction
    from cogorch_dagster.policies.guards import checks

    with transaction(load_settings()) as connection:
        guards = checks.in_force(connection)
    rows = [(guard.ref, _scope(guard.params), guard.params["description"]) for guard in guards]
    shown = [{"ref": guard.ref, "digest": guard.digest, "params": guard.params} for guard in guards]
    out.result({"guards": shown}, lambda: table(("rule", "about", "description"), rows))


@app.command(
    short_help="Check a rule without storing it.", epilog=examples("cogorch guard check docs/guards/weight-cap.rego")
)
def check(file: FileArgument, as_json: JsonOption = False) -> None:
    """Check a rule without storing it: its syntax, its meaning, and its examples."""
    out = Output(as_json)
    from cogorch_dagster.policies.params_file import params_from_file

    params = params_from_file(file, "guard")
    count = len(params["examples"])
    out.result(
        {"sound": True, "params": params}, lambda: print(f"sound; about {_scope(params)}; {count} examples hold")
    )
    if not count:
        say("It has no examples: a rule that never applies is sound as well.")


@app.command(
    short_help="Propose a rule.", epilog=examples("cogorch guard propose weight-cap docs/guards/weight-cap.rego")
)
def propose(
    policy_id: Annotated[str, typer.Argument(metavar="POLICY", help="The rule's id; created when there is none.")],
    file: FileArgument,
    actor: ActorOption = None,
    as_json: JsonOption = False,
) -> None:
    """Propose a rule, or a new version of it; in force once it is approved and activated."""
    out = Output(as_json)
    from cogorch_dagster.errors import InvalidInput
    from cogorch_dagster.platform.database import transaction
    from cogorch_dagster.policies import administration, drafts, store
    from cogorch_dagster.policies.params_file import params_from_file

    params = params_from_file(file, "guard")
    with transaction(load_settings()) as connection:
        if policy_id not in {policy.policy_id for policy in store.policies(connection)}:
            administration.create_policy(connection, policy_id, "guard", actor=acting(actor))
        kind = store.policy(connection, policy_id).kind
        if kind != "guard":
            raise InvalidInput(f"{policy_id} is of kind {kind}, not guard; choose another id for the rule")
        version = drafts.propose_version(connection, policy_id, params, actor=acting(actor))
    out.result(plain(version), lambda: show_version(version))
    say(f"Next: cogorch policy approve {version.ref} --reason '...'")


@app.command(
    short_help="What the rules say of a version.",
    epilog=examples(
        "cogorch guard test router-core@1.0.1",
        "cogorch guard test router-core@1.0.1 --step activate --rule docs/guards/weight-cap.rego",
    ),
)
def test(
    ref: Annotated[str, typer.Argument(metavar="POLICY@VERSION", help="Such as router-core@1.0.1.")],
    *,
    step: Annotated[str, typer.Option(help="What a rule is told: propose, approve, activate or rollback.")] = "propose",
    rule: Annotated[Path | None, typer.Option(help="A rule that is not in force; instead of those that are.")] = None,
    actor: ActorOption = None,
    as_json: JsonOption = False,
) -> None:
    """What the rules say of a version against the one in force. Exit code 1 when one objects or gives no answer."""
    out = Output(as_json)
    from cogorch_dagster.errors import InvalidInput
    from cogorch_dagster.platform.database import transaction
    from cogorch_dagster.policies import store
    from cogorch_dagster.policies.document import parse_ref
    from cogorch_dagster.policies.guards import checks
    from cogorch_dagster.policies.params_file import params_from_file

    if step not in checks.STEPS:
        raise InvalidInput(f"step {step!r} is none of {', '.join(checks.STEPS)}")
    params = None if rule is None else params_from_file(rule, "guard")
    with transaction(load_settings()) as connection:
        candidate = store.version(connection, *parse_ref(ref))
        active = store.active(connection, candidate.policy_id)
        who = acting(actor)
        if params is not None:
            found: tuple[Finding, ...] = (
                checks.finding(str(rule), params, checks.input_document(step, candidate, active, who)),
            )
        else:
            found = checks.findings(connection, step, candidate, active, actor=who)

    def print_it() -> None:
        rows = [
            (each.guard, "holds" if each.holds else "fails" if each.failure else "objects", _said(each))
            for each in found
        ]
        if rows:
            table(("rule", "answer", "message"), rows)
        else:
            print(f"no rule in force is about {candidate.policy_id}")

    out.result({"ref": ref, "step": step, "rules": found}, print_it)
    if not all(each.holds for each in found):
        raise typer.Exit(1)


def _said(finding: "Finding") -> str:
    return finding.failure or "; ".join(finding.messages)


def _scope(params: dict[str, Any]) -> str:
    scope = params["appliesTo"]
    if not isinstance(scope, dict):
        return "every policy but guards"
    return f"policy {scope['policy']}" if scope["policy"] else f"kind {scope['kind']}"
