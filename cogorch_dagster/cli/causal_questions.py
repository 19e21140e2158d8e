"""Questions to a graph of causes: effects, insights, what would be or have been, what changed, what to improve.

Each command is added to `cogorch causal` by `causal`.
"""

from typing import Annotated

import typer

from cogorch_dagster.cli.causal_arguments import (
    ComponentOption,
    LevelOption,
    OfOption,
    SetOption,
    ShiftOption,
    VersionOption,
    amounts_of,
    values_of,
    version_of,
)
from cogorch_dagster.cli.output import JsonOption, Output, examples, load_settings, moment, say, when

app = typer.Typer()


@app.command(
    "effect",
    short_help="How much one variable changes another.",
    epilog=examples(
        "cogorch causal effect context:replicas latency_ms -c autoscaler:core",
        "cogorch causal effect share:large reward --by load --audit",
        "cogorch causal effect context:replicas latency_ms --kind direct --through queue_ms",
    ),
)
def effect(
    treatment: Annotated[str, typer.Argument(help="The variable that is changed.")],
    outcome: Annotated[str, typer.Argument(help="The variable that is asked about.")],
    kind: Annotated[str, typer.Option(help="total, direct, indirect or controlled.")] = "total",
    through: Annotated[list[str] | None, typer.Option(help="A mediator, of a direct or indirect effect.")] = None,
    selected: Annotated[
        list[str] | None, typer.Option(help="A variable on which it depended whether a row is in the data; repeat.")
    ] = None,
    method: Annotated[str, typer.Option(help="auto, ols, doubly_robust or matching.")] = "auto",
    simulations: Annotated[int, typer.Option(min=0, help="Of each refuter; 0: none, and no causal claim.")] = 100,
    by: Annotated[str | None, typer.Option(help="Also in slices by this variable, such as a tenant's share.")] = None,
    audit: Annotated[bool, typer.Option("--audit", help="Ask dowhy the same and say whether it agrees.")] = False,
    component: ComponentOption = None,
    version: VersionOption = None,
    as_json: JsonOption = False,
) -> None:
    """Identify, estimate and try to overturn an effect; it is called causal only where all of that is in order.

    Exit code 3 when the graph does not identify it.
    """
    out = Output(as_json)
    from cogorch_dagster.causal.effects import effect as effects
    from cogorch_dagster.causal.effects.answer import Effect, EffectRange
    from cogorch_dagster.causal.effects.audit import audit as audited
    from cogorch_dagster.causal.effects.query import NotIdentified
    from cogorch_dagster.causal.effects.slices import sliced
    from cogorch_dagster.causal.insights.effect_store import effect_document
    from cogorch_dagster.causal.versions import datasets
    from cogorch_dagster.cli import causal_view

    settings = load_settings()
    found = version_of(settings, component, version)
    dataset = datasets.load(settings, found.dataset)
    answer = effects.effect(
        dataset,
        found.graph,
        treatment,
        outcome,
        effect=kind,  # type: ignore[arg-type]  # checked there
        mediators=through or (),
        selected=selected or (),
        latents=found.latents,
        method=method,  # type: ignore[arg-type]  # checked there
        simulations=simulations,
        seed=found.seed,
    )
    if audit and isinstance(answer, EffectRange):
        say("not audited: the effect has a range over several graphs, and dowhy answers by one")
    second = None if not audit or isinstance(answer, EffectRange) else audited(dataset, found.member, answer)
    if by is not None and not isinstance(answer, Effect):
        say(f"not sliced by {by}: only an effect with one answer can be")
    parts = sliced(dataset, found.graph, answer.estimand, by) if by is not None and isinstance(answer, Effect) else None
    value = {"version": found.digest, **effect_document(answer), "slices": parts, "audit": second}
    out.result(value, lambda: causal_view.show_effect(answer, second, parts))
    if isinstance(answer, NotIdentified):
        raise typer.Exit(3)


@app.command(
    "insights",
    short_help="What is worth knowing, and what would help.",
    epilog=examples("cogorch causal insights -c router:core", "cogorch causal insights --json"),
)
def insights(
    component: ComponentOption = None,
    version: VersionOption = None,
    most: Annotated[int, typer.Option(min=1, max=1000, help="Shown at most.")] = 10,
    as_json: JsonOption = False,
) -> None:
    """Say in sentences which cause moves which outcome, why that is believed, and what to set.

    Effects that are not estimated yet are estimated first, about a third of a second each.
    """
    out = Output(as_json)
    from cogorch_dagster.causal.insights.estimating import estimate_effects
    from cogorch_dagster.causal.insights.looking import look
    from cogorch_dagster.cli import causal_view

    settings = load_settings()
    found = version_of(settings, component, version)
    with causal_view.Progress(found.scope, "effect") as progress:
        estimate_effects(settings, found, progress=progress)
    told = look(settings, found)[:most]
    value = {"version": found.digest, "insights": [{"digest": each.digest, **each.document()} for each in told]}
    out.result(value, lambda: causal_view.show_insights(found, told))


@app.command(
    "whatif",
    short_help="What would happen if something were set.",
    epilog=examples(
        "cogorch causal whatif --set context:replicas=6 --of latency_ms",
        "cogorch causal whatif --shift load=+200 --json",
    ),
)
def whatif(
    hold: SetOption = None,
    shift: ShiftOption = None,
    of: OfOption = None,
    component: ComponentOption = None,
    version: VersionOption = None,
    level: LevelOption = 0.95,
    as_json: JsonOption = False,
) -> None:
    """Say how outcomes would change on average if variables were set or shifted, with intervals.

    Exit code 3 when an answer does not follow from the graph and the data.
    """
    out = Output(as_json)
    from cogorch_dagster.causal.versions.answering import what_if
    from cogorch_dagster.cli import causal_view

    found = version_of(load_settings(), component, version)
    answers = what_if(found, values_of(hold, "--set"), shift=amounts_of(shift), outcomes=of or None, level=level)
    value = {"version": found.digest, "answers": [causal_view.answer_document(each) for each in answers]}
    out.result(value, lambda: causal_view.show_answers(found, answers, level))
    causal_view.exit_if_unidentified(answers)


@app.command(
    "counterfactual",
    short_help="What would have been at one moment.",
    epilog=examples("cogorch causal counterfactual --at 2026-01-31T12:00:00Z --set context:replicas=6 --of latency_ms"),
)
def counterfactual(
    at: Annotated[str, typer.Option(help="A moment of the data, ISO 8601, UTC, or the number of a row from 1 on.")],
    hold: SetOption = None,
    shift: ShiftOption = None,
    of: OfOption = None,
    component: ComponentOption = None,
    version: VersionOption = None,
    level: LevelOption = 0.95,
    as_json: JsonOption = False,
) -> None:
    """Say what outcomes of one row would have been, had variables been set or shifted, all else as it was.

    Exit code 3 when an answer does not follow from the graph and the data.
    """
    out = Output(as_json)
    from cogorch_dagster.causal.models.counterfactual import abduction
    from cogorch_dagster.causal.versions import answering, datasets, rows
    from cogorch_dagster.cli import causal_view

    settings = load_settings()
    found = version_of(settings, component, version)
    dataset = datasets.load(settings, found.dataset)
    row = rows.values_of(dataset, rows.place_of(dataset, int(at) if at.isdecimal() else moment(at)), found.graph.names)
    answers = answering.counterfactual(
        found, row, values_of(hold, "--set"), shift=amounts_of(shift), outcomes=of or None, level=level
    )
    value = {
        "version": found.digest,
        "row": row,
        "unusual": abduction(found.model, row),
        "answers": [causal_view.answer_document(each) for each in answers],
    }
    out.result(value, lambda: causal_view.show_answers(found, answers, level))
    causal_view.exit_if_unidentified(answers)


@app.command(
    "why",
    short_help="What changed between two periods.",
    epilog=examples(
        "cogorch causal why latency_ms --since 24h",
        "cogorch causal why reward -c router:core --since 2026-01-31 --against 2026-01-24 --until 2026-02-01",
    ),
)
def why(
    outcome: Annotated[str, typer.Argument(help="A variable of the graph, such as latency_ms.")],
    since: Annotated[str, typer.Option(help="Begin of the later period, and end of the one before.")] = "24h",
    until: Annotated[str | None, typer.Option(help="End of the later period; default: now.")] = None,
    against: Annotated[
        str | None, typer.Option(help="Begin of the period before; default: as long as this one.")
    ] = None,
    component: ComponentOption = None,
    version: VersionOption = None,
    level: LevelOption = 0.95,
    as_json: JsonOption = False,
) -> None:
    """Say why the mean of an outcome is another than before: how much each mechanism adds to the change.

    Exit code 3 when the graph does not tell.
    """
    out = Output(as_json)
    from datetime import UTC, datetime

    from cogorch_dagster.causal.effects.query import NotIdentified
    from cogorch_dagster.causal.versions import changes
    from cogorch_dagster.cli import causal_view

    settings = load_settings()
    found = version_of(settings, component, version)
    begin, end = when(since) or datetime.now(UTC), (when(until) if until else None) or datetime.now(UTC)
    earlier = (when(against) if against else None) or begin - (end - begin)
    told = changes.why(settings, found, outcome, (earlier, begin), (begin, end), level=level)
    if isinstance(told, NotIdentified):
        value = {"version": found.digest, **causal_view.answer_document(told)}
        out.result(value, lambda: causal_view.show_answers(found, [told], level))
        raise typer.Exit(3)
    out.result({"version": found.digest, **told.document()}, lambda: causal_view.show_attribution(told, level))


@app.command(
    "bottlenecks",
    short_help="Which edge and which lever gain most.",
    epilog=examples("cogorch causal bottlenecks latency_ms", "cogorch causal bottlenecks reward --better higher"),
)
def bottlenecks(
    outcome: Annotated[str, typer.Argument(help="A variable of the graph, such as latency_ms.")],
    better: Annotated[str | None, typer.Option(help="lower or higher; default: higher for reward and quality.")] = None,
    share: Annotated[float, typer.Option(help="By how much an edge is scaled, above 0, at most 1.")] = 0.1,
    component: ComponentOption = None,
    version: VersionOption = None,
    level: LevelOption = 0.95,
    as_json: JsonOption = False,
) -> None:
    """Rank the edges on the way to an outcome, and the variables that somebody can set, by what they would gain.

    Exit code 3 when the graph tells of none.
    """
    out = Output(as_json)
    from cogorch_dagster.causal.insights.direction import better_of
    from cogorch_dagster.causal.models import bottleneck
    from cogorch_dagster.cli import causal_view

    found = version_of(load_settings(), component, version)
    from cogorch_dagster.errors import InvalidInput

    wanted = better or better_of(outcome)
    if wanted is None:
        raise InvalidInput(f"whether more or less of {outcome} is better is not known; say --better lower or higher")
    told = bottleneck.bottlenecks(found.model, outcome, better=wanted, share=share, level=level)  # type: ignore[arg-type]
    value = {"version": found.digest, **told.document()}
    out.result(value, lambda: causal_view.show_bottlenecks(told))
    if told.doubtful and not (told.edges or told.levers):
        raise typer.Exit(3)
