"""`cogorch causal`: what causes what, by how much, what would be, what would have been, and what changed."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cogorch_dagster.cli import causal_questions
from cogorch_dagster.cli.causal_arguments import ComponentOption, VersionOption, version_of
from cogorch_dagster.cli.output import JsonOption, Output, examples, load_settings, say, span, when
from cogorch_dagster.cli.pictures import IMAGES, image_of, require_image, write_picture

if TYPE_CHECKING:
    from datetime import timedelta

    from cogorch_dagster.causal.data.dataset import CausalDataset
    from cogorch_dagster.settings import Settings

app = typer.Typer(
    help="Causes instead of correlations: graphs, effects, what-if questions, and why something changed.",
    no_args_is_help=True,
    epilog=examples(
        "cogorch causal discover --since 7d",
        "cogorch causal effect context:replicas latency_ms -c autoscaler:core",
        "cogorch causal whatif --set context:replicas=6 --of latency_ms",
    ),
)


@app.command(
    "discover",
    short_help="Find the graph of a component or a file.",
    epilog=examples(
        "cogorch causal discover --since 7d",
        "cogorch causal discover -c router:core --since 24h --knowledge known.yaml",
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
    from cogorch_dagster.errors import InvalidInput

    require_image(plot, IMAGES)
    width = None if bucket is None else span(bucket)
    settings = load_settings()
    known = Knowledge.read(knowledge) if knowledge is not None else None
    how = DiscoverySettings(algorithm=algorithm, resamples=resamples)  # type: ignore[arg-type]  # checked there
    found = []
    if data is not None:
        read = [_file(data, component, time, group, ordered)]
    else:
        read = _components(settings, component, since, until, width, lags)
    if not machine_code.is_there():
        say("The search is compiled when it is first used; that takes up to half a minute, once.")
    for each, of_it in zip(read, known_of(known, read), strict=True):
        try:
            with causal_view.Progress(each.scope) as progress:
                built = build_and_keep(settings, each, knowledge=of_it, discovery=how, seed=seed, progress=progress)
        except InvalidInput as error:
            # Of several that nobody named, one with too little data holds up no other.
            if component or len(read) == 1:
                raise
            say(f"left out: {error}")
            continue
        found.append(built)
    if not found:
        raise InvalidInput("no component has enough data; choose an earlier --since or narrower buckets")
    if plot is not None:
        write_picture(plot, found[0].version.picture(image_of(plot)))
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
    every: Annotated[bool, typer.Option("--all", help="List the versions instead.")] = False,
    most: Annotated[int, typer.Option(min=1, max=100_000, help="Listed at most, the newest.")] = 100,
    plot: Annotated[Path | None, typer.Option(help="Draw it there, .png, .svg or .pdf.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Show a graph: each edge with its probability and strength, what was set aside, and what changed since."""
    out = Output(as_json)
    from cogorch_dagster.causal.versions import store
    from cogorch_dagster.causal.versions.comparison import compared
    from cogorch_dagster.cli import causal_view
    from cogorch_dagster.platform.database import transaction

    require_image(plot, IMAGES)
    settings = load_settings()
    if every:
        with transaction(settings) as connection:
            rows = store.listing(connection, component, limit=most)
        out.result({"versions": rows}, lambda: causal_view.show_listing(rows))
        return
    found = version_of(settings, component, version)
    with transaction(settings) as connection:
        earlier = store.get(connection, against) if against else store.before(connection, found.digest)
    comparison = None if earlier is None else compared(earlier, found)
    if plot is not None:
        write_picture(plot, found.picture(image_of(plot)))
    value = {**causal_view.version_document(found), "against": comparison}
    out.result(value, lambda: causal_view.show_version(found, comparison))


def _file(
    path: Path, component: list[str] | None, time: str | None, group: str | None, ordered: bool
) -> "CausalDataset":
    from cogorch_dagster.causal.data.reading_file import read_file
    from cogorch_dagster.errors import InvalidInput

    if component:
        raise InvalidInput("--data and --component were both given; a graph is of a file or of a component")
    return read_file(str(path), time=time, group=group, ordered=ordered)


def _components(
    settings: "Settings",
    component: list[str] | None,
    since: str,
    until: str | None,
    bucket: "timedelta | None",
    lags: int,
) -> "list[CausalDataset]":
    """The data sets of components; of those that nobody named, the ones with too little data are left out."""
    from cogorch_dagster.causal.data.reading import components, read_dataset
    from cogorch_dagster.errors import InvalidInput
    from cogorch_dagster.evaluation.measurement import period

    begin, end = period(when(since), when(until) if until else None)
    names = component or components(settings, begin, end)
    if not names:
        raise InvalidInput(f"no component has rewards from {begin.isoformat()} on; choose an earlier --since")
    found = []
    for name in names:
        try:
            found.append(read_dataset(settings, name, begin, end, bucket=bucket, lags=lags))
        except InvalidInput as error:
            if component:
                raise
            say(f"left out: {error}")
    if not found:
        raise InvalidInput("no component has enough data; choose an earlier --since or narrower buckets")
    return found


# Its commands stand beside those above.
app.add_typer(causal_questions.app)
