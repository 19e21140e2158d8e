"""`cogorch incidents`: what drift detection has found, and closing what a person knows to be over."""

from typing import TYPE_CHECKING, Annotated

import typer

from cogorch_dagster.cli.output import (
    ActorOption,
    JsonOption,
    Output,
    acting,
    examples,
    load_settings,
    moment,
    say,
    table,
)

if TYPE_CHECKING:
    from cogorch_dagster.policies.findings import Finding

app = typer.Typer(
    help="Incidents and regime changes. An open incident holds back activations of its component's policies.",
    no_args_is_help=True,
    epilog=examples("cogorch incidents list", "cogorch incidents close 0d9c... --reason 'provider is back'"),
)


@app.command(
    "list",
    short_help="Open ones, or all.",
    epilog=examples("cogorch incidents list --component router:core --all --json"),
)
def list_(
    component: Annotated[str | None, typer.Option(help="Only of this component.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Closed incidents and regime changes, too.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Open incidents, or with --all everything that was found, the newest first."""
    out = Output(as_json)
    from cogorch_dagster.platform.database import transaction
    from cogorch_dagster.policies import findings

    with transaction(load_settings()) as connection:
        found = findings.findings(
            connection, component=component, sort=None if every else "incident", open_only=not every
        )
    columns = ("what", "component", "metric", "kind", "began", "ended", "before", "after", "because of", "id")
    rows = [
        (
            *(each.sort, each.component, each.metric, each.kind, each.began_at),
            each.ended_at if each.sort == "incident" else None,
            *(each.before, each.after, _because(each), each.finding_id),
        )
        for each in found
    ]
    if not found:
        say("Nothing was found." if every else "No incident is open.")
    out.result({"findings": found}, lambda: table(columns, rows, right=("before", "after")))


@app.command(
    "close",
    short_help="Close an open one.",
    epilog=examples("cogorch incidents close 0d9c... --reason 'provider is back'"),
)
def close(
    finding_id: Annotated[str, typer.Argument(help="As in `cogorch incidents list`.")],
    reason: Annotated[str, typer.Option(help="Kept in the audit log.")],
    actor: ActorOption = None,
    as_json: JsonOption = False,
) -> None:
    """Close an open incident, so that activations are possible again; it is not opened again while it goes on."""
    out = Output(as_json)
    from cogorch_dagster.platform.database import transaction
    from cogorch_dagster.policies import findings

    with transaction(load_settings()) as connection:
        closed = findings.close(connection, finding_id, actor=acting(actor), reason=reason)
    out.result(closed, lambda: print(f"{closed.metric} of {closed.component} is closed by {closed.closed_by}"))


@app.command(
    "look",
    short_help="Look for new ones now.",
    epilog=examples("cogorch incidents look", "cogorch incidents look --as-of 2026-01-31T12:00:00Z"),
)
def look(
    as_of: Annotated[str | None, typer.Option(help="End of what is looked at, ISO 8601, UTC; default: now.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Look for incidents and regime changes now; while `cogorch up` runs, its daemon does so by itself."""
    out = Output(as_json)
    from cogorch_dagster.evaluation.drift import watch
    from cogorch_dagster.features.expectation import by_mix

    settings = load_settings()
    done = watch.look(settings, moment(as_of), expectation=by_mix(settings, say))

    def show() -> None:
        for title, found in (("opened", done.opened), ("closed", done.closed), ("regime changed", done.changed)):
            for each in found:
                print(f"{title}: {each.metric} of {each.component}, {each.kind}, {_because(each)}")
        print(
            f"{done.components} components: {len(done.opened)} incidents opened, {len(done.closed)} closed, "
            f"{len(done.changed)} regime changes"
        )

    if done.too_young:
        say(f"too young to be judged (3 days of data are needed): {', '.join(done.too_young)}")
    out.result(done, show)


def _because(found: "Finding") -> str:
    """What explains it: slices, and of a change of the reward what the mix explains."""
    mix = found.details.get("mix")
    return f"{found.because}; {mix['verdict']}" if mix else found.because
