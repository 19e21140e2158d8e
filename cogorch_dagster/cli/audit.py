"""`cogorch audit` and `cogorch lineage`: what happened, whether its record is whole, where a version is from."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from cogorch_dagster.cli.output import JsonOption, Output, examples, fields, load_settings, say, table, text
from cogorch_dagster.cli.policy_view import brief, evidence_line

if TYPE_CHECKING:
    from cogorch_dagster.policies.lineage import Lineage

LINEAGE_EPILOG = examples("cogorch lineage router-core@1.0.1", "cogorch lineage router-core@1.0.1 --json")

app = typer.Typer(
    help="The hash-chained log of everything that happened to policies, flags and tokens.",
    no_args_is_help=True,
    epilog=examples("cogorch audit log --subject router-core", "cogorch audit verify"),
)


@app.command(
    short_help="Its records.",
    epilog=examples("cogorch audit log --subject router-core@1.0.1", "cogorch audit log --limit 5 --json"),
)
def log(
    subject: Annotated[str | None, typer.Option(help="A policy, a version, flag:NAME or token:NAME.")] = None,
    event: Annotated[str | None, typer.Option(help="Such as version.activated.")] = None,
    before: Annotated[
        int | None, typer.Option(min=1, max=2**63 - 1, help="Only records with a smaller number, for paging.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000)] = 30,
    as_json: JsonOption = False,
) -> None:
    """The records, newest first."""
    out = Output(as_json)
    from cogorch_dagster.platform.database import transaction
    from cogorch_dagster.policies import audit

    with transaction(load_settings()) as connection:
        records = audit.records(connection, subject=subject, event=event, before=before, limit=limit)
    rows = [(str(r.seq), r.at, r.actor, r.event, r.subject, brief(r.payload)) for r in records]
    out.result(
        {"records": records}, lambda: table(("seq", "at", "actor", "event", "subject", "what"), rows, right=("seq",))
    )


@app.command(
    short_help="Walk the whole chain.",
    epilog=examples("cogorch audit verify --json", "cogorch audit verify --anchor 412:9f1c..."),
)
def verify(
    anchor: Annotated[str | None, typer.Option(help="The head that an earlier verification printed.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Walk the whole chain; exit code 1 and the first bad record when it is broken."""
    out = Output(as_json)
    from cogorch_dagster.platform.database import transaction
    from cogorch_dagster.policies import audit

    with transaction(load_settings()) as connection:
        report = audit.verify(connection, anchor)
    if report.ok:
        out.result(report, lambda: print(f"{report.records} records, the chain is unbroken; head {report.head}"))
        return
    say(f"error: the audit log is broken at record {report.first_bad}: {report.problem}")
    out.result(report, lambda: print(f"{report.records} records are sound, record {report.first_bad} is not"))
    raise typer.Exit(1)


@app.command(short_help="Where a version comes from.", epilog=LINEAGE_EPILOG)
def lineage(
    ref: Annotated[str, typer.Argument(help="POLICY@VERSION, such as router-core@1.0.1.")],
    as_json: JsonOption = False,
) -> None:
    """The chain from a version to its decisions, evidence, reward configuration, hours and sources.

    Exit code 1 when a link is broken.
    """
    out = Output(as_json)
    from cogorch_dagster.platform.database import transaction
    from cogorch_dagster.policies.document import parse_ref
    from cogorch_dagster.policies.lineage import lineage as trace

    with transaction(load_settings()) as connection:
        chain = trace(connection, *parse_ref(ref))
    out.result(_chain(chain), lambda: _show_chain(chain))
    for problem in chain.problems:
        say(f"broken: {problem}")
    raise typer.Exit(1 if chain.problems else 0)


def _chain(chain: "Lineage") -> dict[str, Any]:
    return {
        "ref": chain.version.ref,
        "version": chain.version,
        "ancestors": [each.ref for each in chain.ancestors],
        "decisions": chain.decisions,
        "evidence": chain.evidence,
        "reward": chain.reward
        and {"ref": chain.reward.ref, "digest": chain.reward.digest, "params": chain.reward.params},
        "hours": chain.hours,
        "sources": chain.sources,
        "records": chain.records,
        "problems": chain.problems,
    }


def _show_chain(chain: "Lineage") -> None:
    version = chain.version
    print(f"{version.ref} ({version.status})")
    lines: list[tuple[str, object]] = [
        ("  proposed", f"{text(version.created_at)} by {version.created_by}"),
        ("  digest", version.digest),
        ("  parents", " <- ".join(each.ref for each in chain.ancestors) or None),
    ]
    for decision in chain.decisions:
        used = f", used {text(decision.claimed_at)} by {decision.claimed_by}" if decision.claimed_at else ""
        void = ", void: a later decision replaced it" if decision.superseded_at else ""
        who = f"{decision.action} {text(decision.decided_at)} by {decision.actor}: {decision.reason}{used}{void}"
        lines.append(("  decision", who))
    lines.append(("  evidence", evidence_line(chain.evidence)))
    lines.append(("  reward", chain.reward and f"{chain.reward.ref} {chain.reward.digest}"))
    span = f"{len(chain.hours)} from {text(chain.hours[0])} to {text(chain.hours[-1])}" if chain.hours else None
    lines.append(("  hours", span))
    lines.append(("  sources", ", ".join(f"{name} ({count:,} rows)" for name, count in chain.sources.items()) or None))
    lines.append(("  audit", ", ".join(f"{record.event} #{record.seq}" for record in chain.records)))
    fields(lines)
