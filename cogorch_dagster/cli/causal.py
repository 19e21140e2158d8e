"""`cogorch causal`: what causes what, by how much, what would be, what would have been, and what changed."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cogorch_dagster.cli.output import JsonOption, Output, examples, load_settings, moment, say, span, when

if TYPE_CHECKING:
    from cogorch_dagster.causal.data.dataset import CausalDataset
    from cogorch_dagster.causal.models.intervention import Values
    from cogorch_dagster.causal.versions.version import CausalVersion
    from cogorch_dagster.settings import Settings

app = typer.Typer(
    help="Causes instead of correlations: graphs, effects, what-if questions, and why something changed.",
    no_args_is_help=True,
    epilog=examples(
        "cogorch causal discover --since 7d",
        "cogorch causal effect context:replicas latency_ms --component autoscaler:core",
        "cogorch causal whatif --set context:replicas=6 --of latency_ms",
    ),
)
_IMAGES = ("png", "svg", "pdf")

ComponentOption = Annotated[
    str | None, typer.Option("--component", "-c", help="Whose graph; may be left out where only one has one.")
]
VersionOption = Annotated[
    str | None, typer.Option("--version", help="Digest of a version, or its beginning; default: the latest.")
]
OfOption = Annotated[list[str] | None, typer.Option("--of", help="An outcome; repeat for several; default: all.")]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Set a variable, whatever its causes; repeat.")
]
ShiftOption = Annotated[
    list[str] | None, typer.Option("--shift", metavar="NAME=AMOUNT", help="Add to a variable, such as replicas=+1.")
]
LevelOption = Annotated[float, typer.Option(help="Of the intervals, 0.5 to 0.999.")]


@app.command(
    "discover",
    short_help="Find the graph of a component or a file.",
    epilog=examples(
        "cogorch causal discover --since 7d",
        "cogorch causal discover -c router:core --since 24h --bucket 1m --knowledge known.yaml --plot graph.png",
        "cogorch causal discover --data measurements.csv",
    )
    + "\n\n\b\nKnowledge, every part optional; no variable causes one of an earlier tier:\n"
    "  tiers: [[load], [replicas], [queue_ms, latency_ms]]\n"
    "  required: [[replicas, queue_ms]]      # [cause, effect]\n"
    "  forbidden: [[latency_ms, load]]\n"
    "  latents: [[queue_ms, error_share]]    # suspected of a hidden common cause",
)
def discover(
    component: Annotated[
        list[str] | None, typer.Option("--component", "-c", help="Of these; default: every component with rewards.")
    ] = None,
    since: Annotated[str, typer.Option(help="An age such as 90m, 24h or 7d, or a time, ISO 8601, UTC.")] = "7d",
    until: Annotated[str | None, typer.Option(help="Only what is before this time, or of this age.")] = None,
    bucket: Annotated[
        str | None, typer.Option(help="Width of a row, such as 10s, 1m or 1h; default: chosen by the amount of data.")
    ] = None,
    lags: Annotated[int, typer.Option(min=0, max=5, help="Also columns of so many buckets before.")] = 0,
    data: Annotated[Path | None, typer.Option("--data", metavar="CSV", help="A file instead of components.")] = None,
    time: Annotated[str | None, typer.Option(help="Column of the file that orders its rows in time.")] = None,
    group: Annotated[str | None, typer.Option(help="Column of the file that tells series of rows apart.")] = None,
    ordered: Annotated[bool, typer.Option("--ordered", help="The file's rows stand in the order of time.")] = False,
    knowledge: Annotated[Path | None, typer.Option(metavar="YAML", help="What is known beforehand.")] = None,
    algorithm: Annotated[
        str, typer.Option(help="auto, boss, pc, fci or guided_fci; auto looks for hidden causes where suspected.")
    ] = "auto",
    resamples: Annotated[int, typer.Option(min=1, max=100_000, help="Of the bootstrap of the edges.")] = 200,
    seed: Annotated[int, typer.Option(min=0, help="Of everything random.")] = 0,
    plot: Annotated[Path | None, typer.Option(help="Draw the graph there, .png, .svg or .pdf; of one graph.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Find what causes what, with the probability of each edge, and keep it as a version that never changes."""
    out = Output(as_json)
    from cogorch_dagster.causal.discovery import machine_code
    from cogorch_dagster.causal.discovery.settings import DiscoverySettings
    from cogorch_dagster.causal.graphs.knowledge import Knowledge
    from cogorch_dagster.causal.versions.building import build_and_keep, known_of
    from cogorch_dagster.cli import causal_view

    _check_plot(plot)
    settings = load_settings()
    known = Knowledge.read(knowledge) if knowledge is not None else None
    how = DiscoverySettings(algorithm=algorithm, resamples=resamples)  # type: ignore[arg-type]  # checked there
    found = []
    if data is not None:
        read = [_file(data, component, time, group, ordered)]
    else:
        read = _components(settings, component, since, until, bucket, lags)
    if not machine_code.is_there():
        say("The search is compiled when it is first used; that takes up to half a minute, once.")
    for each, of_it in zip(read, known_of(known, read), strict=True):
        progress = causal_view.Progress(each.scope)
        built = build_and_keep(settings, each, knowledge=of_it, discovery=how, seed=seed, progress=progress)
        progress.done()
        found.append(built)
    if plot is not None:
        _draw(found[0].version, plot)
    value = [causal_view.built_document(each) for each in found]
    out.result({"versions": value}, lambda: causal_view.show_built(found))


@app.command(
    "graph",
    short_help="A version of a graph, its edges and what changed.",
    epilog=examples("cogorch causal graph -c router:core --plot graph.png", "cogorch causal graph --all"),
)
def graph(
    component: ComponentOption = None,
    version: VersionOption = None,
    against: Annotated[str | None, typer.Option(help="Digest to compare with; default: the version before.")] = None,
    every: Annotated[bool, typer.Option("--all", help="List every version instead.")] = False,
    plot: Annotated[Path | None, typer.Option(help="Draw it there, .png, .svg or .pdf.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Show a graph: each edge with its probability and strength, what was set aside, and what changed since."""
    out = Output(as_json)
    from cogorch_dagster.causal.versions import store
    from cogorch_dagster.causal.versions.comparison import compared
    from cogorch_dagster.cli import causal_view
    from cogorch_dagster.platform.database import transaction

    _check_plot(plot)
    settings = load_settings()
    if every:
        with transaction(settings) as connection:
            rows = store.listing(connection, component)
        out.result({"versions": rows}, lambda: causal_view.show_listing(rows))
        return
    found = _version(settings, component, version)
    with transaction(settings) as connection:
        earlier = store.get(connection, against) if against else store.before(connection, found.digest)
    comparison = None if earlier is None else compared(earlier, found)
    if plot is not None:
        _draw(found, plot)
    value = {**causal_view.version_document(found), "against": comparison}
    out.result(value, lambda: causal_view.show_version(found, comparison))


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
    from cogorch_dagster.errors import InvalidInput

    settings = load_settings()
    found = _version(settings, component, version)
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
        raise InvalidInput(f"--by {by}: only an effect with one answer can be sliced, this one has none or several")
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
    found = _version(settings, component, version)
    progress = causal_view.Progress(found.scope, "effect")
    estimate_effects(settings, found, progress=progress)
    progress.done()
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

    found = _version(load_settings(), component, version)
    answers = what_if(found, _values(hold, "--set"), shift=_amounts(shift), outcomes=of or None, level=level)
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
    found = _version(settings, component, version)
    dataset = datasets.load(settings, found.dataset)
    row = rows.values_of(dataset, rows.place_of(dataset, int(at) if at.isdecimal() else moment(at)), found.graph.names)
    answers = answering.counterfactual(
        found, row, _values(hold, "--set"), shift=_amounts(shift), outcomes=of or None, level=level
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
    from cogorch_dagster.causal.effects.query import NotIdentified
    from cogorch_dagster.causal.versions import changes
    from cogorch_dagster.cli import causal_view
    from cogorch_dagster.evaluation.measurement import period

    settings = load_settings()
    found = _version(settings, component, version)
    begin, end = period(when(since), when(until) if until else None)
    earlier = when(against) if against else begin - (end - begin)
    told = changes.why(settings, found, outcome, (earlier or begin, begin), (begin, end), level=level)
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
    """Rank the edges on the way to an outcome, and the variables that somebody can set, by what they would gain."""
    out = Output(as_json)
    from cogorch_dagster.causal.insights.direction import better_of
    from cogorch_dagster.causal.models import bottleneck
    from cogorch_dagster.cli import causal_view

    found = _version(load_settings(), component, version)
    from cogorch_dagster.errors import InvalidInput

    wanted = better or better_of(outcome)
    if wanted is None:
        raise InvalidInput(f"whether more or less of {outcome} is better is not known; say --better lower or higher")
    told = bottleneck.bottlenecks(found.model, outcome, better=wanted, share=share, level=level)  # type: ignore[arg-type]
    value = {"version": found.digest, **told.document()}
    out.result(value, lambda: causal_view.show_bottlenecks(told))


def _file(
    path: Path, component: list[str] | None, time: str | None, group: str | None, ordered: bool
) -> "CausalDataset":
    from cogorch_dagster.causal.data.reading_file import read_file
    from cogorch_dagster.errors import InvalidInput

    if component:
        raise InvalidInput("--data and --component were both given; a graph is of a file or of a component")
    return read_file(str(path), time=time, group=group, ordered=ordered)


def _components(
    settings: "Settings", component: list[str] | None, since: str, until: str | None, bucket: str | None, lags: int
) -> "list[CausalDataset]":
    """The data sets of components; of those that nobody named, the ones with too little data are left out."""
    from cogorch_dagster.causal.data.reading import components, read_dataset
    from cogorch_dagster.errors import InvalidInput
    from cogorch_dagster.evaluation.measurement import period

    begin, end = period(when(since), when(until) if until else None)
    names = component or components(settings, begin, end)
    if not names:
        raise InvalidInput(f"no component has rewards from {begin.isoformat()} on; choose an earlier --since")
    width = None if bucket is None else span(bucket)
    found = []
    for name in names:
        try:
            found.append(read_dataset(settings, name, begin, end, bucket=width, lags=lags))
        except InvalidInput as error:
            if component:
                raise
            say(f"left out: {error}")
    if not found:
        raise InvalidInput("no component has enough data; choose an earlier --since or narrower buckets")
    return found


def _version(settings: "Settings", component: str | None, digest: str | None) -> "CausalVersion":
    """The version that is asked for; the latest of the only scope where neither is said."""
    from cogorch_dagster.causal.versions import store
    from cogorch_dagster.errors import InvalidInput
    from cogorch_dagster.platform.database import transaction

    with transaction(settings) as connection:
        if digest is not None:
            return store.get(connection, digest)
        scopes = [component] if component is not None else store.scopes(connection)
        if len(scopes) != 1:
            known = ", ".join(scopes) or "none yet; run `cogorch causal discover`"
            raise InvalidInput(f"graphs of: {known}" + ("; choose one with --component" if scopes else ""))
        found = store.latest(connection, scopes[0])
    if found is None:
        raise InvalidInput(f"no graph of {scopes[0]!r} was found yet; run `cogorch causal discover -c {scopes[0]}`")
    return found


def _values(given: list[str] | None, option: str) -> "Values":
    """NAME=VALUE pairs; a value that is no number is a level."""
    found: dict[str, float | str] = {}
    for name, value in _pairs(given, option):
        try:
            found[name] = float(value)
        except ValueError:
            found[name] = value
    return found


def _amounts(given: list[str] | None) -> dict[str, float]:
    from cogorch_dagster.errors import InvalidInput

    found = {}
    for name, value in _pairs(given, "--shift"):
        try:
            found[name] = float(value)
        except ValueError as error:
            raise InvalidInput(f"--shift {name}={value}: {value!r} is no number such as +1 or -0.5") from error
    return found


def _pairs(given: list[str] | None, option: str) -> list[tuple[str, str]]:
    from cogorch_dagster.errors import InvalidInput

    pairs = []
    for each in given or []:
        name, equals, value = each.rpartition("=")
        if not equals or not name or not value:
            raise InvalidInput(f"{option} {each!r} is not NAME=VALUE, such as context:replicas=6")
        pairs.append((name, value))
    return pairs


def _check_plot(plot: Path | None) -> None:
    from cogorch_dagster.errors import InvalidInput

    if plot is not None and plot.suffix.removeprefix(".") not in _IMAGES:
        raise InvalidInput(f"{plot} must end in {', '.join('.' + each for each in _IMAGES)}")


def _draw(version: "CausalVersion", path: Path) -> None:
    from cogorch_dagster.errors import InvalidInput

    try:
        path.write_bytes(version.picture(path.suffix.removeprefix(".")))  # type: ignore[arg-type]  # checked before
    except OSError as error:
        raise InvalidInput(f"{path} cannot be written: {error}") from error
