"""`cogorch observations`: bring files in, look at what is there."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cogorch_dagster.cli.output import JsonOption, Output, examples, fields, load_settings, moment, say, table

if TYPE_CHECKING:
    from cogorch_dagster.observations.importing import ImportReport

app = typer.Typer(
    help="What the fleet did: import files, look at single observations.",
    no_args_is_help=True,
    epilog=examples("cogorch observations import requests.csv --preset gentd26", "cogorch observations show --limit 5"),
)


@app.command(
    "import",
    short_help="Store a file's observations.",
    epilog=examples(
        "cogorch observations import requests.csv --preset gentd26",
        "cogorch observations import spend.jsonl --preset ./my-columns.yaml --json",
    ),
)
def import_(
    path: Annotated[str, typer.Argument(help="CSV, JSONL or Parquet; a local file or any fsspec URL.")],
    preset: Annotated[
        str | None, typer.Option(help="gentd26, litellm, or a YAML file that says what the columns mean.")
    ] = None,
    source: Annotated[str | None, typer.Option(help="Name of the source; overrides the one in the file.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Store a file's observations; rows that are there already are left, bad rows are reported and quarantined.

    Exit code 1 when there are rows and not one of them can be used.
    """
    out = Output(as_json)
    from cogorch_dagster.observations.importing import import_file

    report = import_file(load_settings(), path, _mapping(preset), source, _progress if sys.stderr.isatty() else None)
    if sys.stderr.isatty():
        say("")
    for rejection in report.rejections:
        say(f"{path}:{rejection.line}: {rejection.message}")
    if report.rejected:
        say(f"{report.rejected} rows rejected; all of them are in {report.quarantine}")
    out.result(report, lambda: _show_report(report))
    raise typer.Exit(1 if report.read and report.rejected == report.read else 0)


@app.command(
    short_help="The newest, or one of them.",
    epilog=examples(
        "cogorch observations show --component router:core --outcome failure",
        "cogorch observations show 0199d1c8-6e00-7abc-8def-0123456789ab --json",
    ),
)
def show(
    observation_id: Annotated[
        str | None, typer.Argument(help="Everything about this one; default: the newest.")
    ] = None,
    *,
    component: Annotated[str | None, typer.Option(help="Only of this component.")] = None,
    outcome: Annotated[str | None, typer.Option(help="success, failure, timeout, cancelled or pending.")] = None,
    since: Annotated[str | None, typer.Option(help="Only from this time on, ISO 8601, UTC.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 20,
    as_json: JsonOption = False,
) -> None:
    """The newest observations, or one of them with its feedback and reward."""
    out = Output(as_json)
    from cogorch_dagster.observations import reading
    from cogorch_dagster.platform.database import transaction

    settings = load_settings()
    if observation_id is not None:
        found = reading.one(settings, observation_id)
        out.result(found, lambda: _show_one(found))
        return
    rows = reading.latest(settings, component=component, outcome=outcome, since=moment(since), limit=limit)
    with transaction(settings) as connection:
        stored, waiting = reading.count(connection)
    columns = (
        "occurred_at",
        "component",
        "action",
        "outcome",
        "duration_ms",
        "cost_amount",
        "policy_version",
        "source",
    )
    out.result(
        {"observations": rows, "stored": stored, "waiting": waiting},
        lambda: table(
            (*columns, "observation_id"),
            [[row[name] for name in (*columns, "observation_id")] for row in rows],
            right=("duration_ms", "cost_amount"),
        ),
    )
    say(f"{len(rows)} of {stored:,} stored observations; {waiting:,} wait in the inbox")


def _mapping(preset: str | None) -> str | Path | None:
    """A preset's name, or the path of a mapping file: it has a folder or an ending."""
    return Path(preset) if preset and ("/" in preset or preset.endswith((".yaml", ".yml"))) else preset


def _progress(read: int) -> None:
    print(f"\r{read:,} rows read", end="", file=sys.stderr, flush=True)


def _show_report(report: "ImportReport") -> None:
    by_outcome = ", ".join(f"{count:,} {outcome}" for outcome, count in sorted(report.by_outcome.items()))
    fields(
        [
            ("read", report.read),
            ("added", f"{report.added:,}" + (f" ({by_outcome})" if by_outcome else "")),
            ("duplicates", report.duplicates),
            ("sampled out", report.sampled_out),
            ("expired", report.expired),
            ("rejected", report.rejected),
            ("hours", len(report.hours)),
        ]
    )


def _show_one(found: dict[str, Any]) -> None:
    fields([(name, value) for name, value in found["observation"].items() if value is not None])
    for row in found["feedback"]:
        print(f"feedback: {row['metric']} = {row['value']} at {row['occurred_at']:%Y-%m-%d %H:%M:%SZ}")
    reward = found["reward"]
    print(
        f"reward: {reward['score']:.4f} by {reward['reward_policy_id']}@{reward['reward_version']}"
        if reward
        else "reward: not scored"
    )
