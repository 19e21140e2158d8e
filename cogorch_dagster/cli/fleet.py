"""`cogorch fleet`: the simulated fleet, calibrated from observations."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cogorch_dagster.cli.output import JsonOption, Output, examples, fields, load_settings, say, table, text, when
from cogorch_dagster.cli.pictures import require_image, write_picture

if TYPE_CHECKING:
    from cogorch_dagster.fleet.calibration.calibration import Calibration
    from cogorch_dagster.fleet.calibration.drift import Drift
    from cogorch_dagster.fleet.calibration.goodness import Distance

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="The simulated fleet that the agents train in.",
    epilog=examples("cogorch fleet calibrate --since 7d --plot fits.png", "cogorch fleet show"),
)


@app.command(
    short_help="Fit its parameters to observations.",
    epilog=examples("cogorch fleet calibrate --since 7d --plot fits.png", "cogorch fleet calibrate --replicas small=2"),
)
def calibrate(
    since: Annotated[str, typer.Option(help="An age such as 90m, 24h or 7d, or a time, ISO 8601, UTC.")] = "7d",
    until: Annotated[str | None, typer.Option(help="Only observations before this time or age.")] = None,
    replicas: Annotated[
        list[str] | None,
        typer.Option(metavar="MODEL=N", help="How many replicas served a model; tells how company slows them down."),
    ] = None,
    plot: Annotated[Path | None, typer.Option(metavar="PNG", help="Write a picture of the distributions.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Fit the parameters of the simulated fleet to the lake's observations and keep them.

    What the data do not tell keeps its documented default; the result says so for each value.
    """
    out = Output(as_json)
    from cogorch_dagster.evaluation.measurement import period
    from cogorch_dagster.fleet.calibration import calibration, drift, store
    from cogorch_dagster.platform.database import transaction

    require_image(plot)
    settings = load_settings()
    begin, end = period(when(since), when(until) if until else None)
    numbers = _replicas(replicas or [])
    found = calibration.calibrate(settings, begin, end, replicas=numbers)
    _warn_of_unknown(numbers, found)
    with transaction(settings) as connection:
        before = store.latest(connection)
        added = store.save(connection, found)
    moved = drift.distance(before, found) if before is not None else None
    if plot is not None:
        from cogorch_dagster.fleet.calibration.figure import distributions

        write_picture(plot, distributions(found))
    value = {"digest": found.digest, "added": added, "drift": moved, **found.document()}
    out.result(value, lambda: _show(found, moved))


@app.command(short_help="The latest calibration.", epilog=examples("cogorch fleet show", "cogorch fleet show --json"))
def show(
    digest: Annotated[str | None, typer.Argument(help="sha256:...; default: the latest calibration.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Show a calibration: the parameters, where each comes from, and how well they fit."""
    out = Output(as_json)
    from cogorch_dagster.errors import InvalidInput
    from cogorch_dagster.fleet.calibration import store
    from cogorch_dagster.platform.database import transaction

    with transaction(load_settings()) as connection:
        found = store.get(connection, digest) if digest else store.latest(connection)
    if found is None:
        raise InvalidInput("nothing is calibrated yet; run `cogorch fleet calibrate`")
    out.result({"digest": found.digest, **found.document()}, lambda: _show(found, None))


def _replicas(given: list[str]) -> dict[str, int]:
    from cogorch_dagster.errors import InvalidInput

    pairs: dict[str, int] = {}
    for each in given:
        name, _, number = each.rpartition("=")
        if not name or not number.isdecimal() or not 1 <= int(number) <= 10_000:
            raise InvalidInput(f"--replicas {each!r} is not MODEL=N with N from 1 to 10,000, such as small=2")
        pairs[name] = int(number)
    return pairs


def _warn_of_unknown(replicas: dict[str, int], found: "Calibration") -> None:
    models = [each.name for each in found.parameters.models]
    if unknown := sorted(set(replicas) - set(models)):
        say(f"warning: --replicas {', '.join(unknown)}: no such model in the period; models: {', '.join(models)}")


def _show(found: "Calibration", moved: "Drift | None") -> None:
    fields(
        [
            ("calibration", found.digest),
            ("period", f"{text(found.since)} to {text(found.until)}"),
            ("observations", found.rows),
            *([("against the one before", moved.verdict)] if moved else []),
        ]
    )
    if found.fits:
        print()
        names = ("KS", "of default", "held out", "default held out", "Wasserstein", "values")
        rows = [
            (
                each.name,
                each.verdict,
                each.calibrated.ks,
                each.default.ks,
                _ks(each.held_out),
                _ks(each.held_out_default),
                each.calibrated.wasserstein,
                each.rows,
            )
            for each in found.fits
        ]
        table(("distribution", "fit", *names), rows, right=names)
    for kind in ("tenants", "models"):
        print()
        table((kind[:-1], "parameter", "value", "from"), _parts(found, kind), right=("value",))
    for moves in moved.moved if moved else ():
        say(f"moved: {moves.whose}, {moves.what}: {text(moves.old)} to {text(moves.new)}")
    for warning in found.warnings:
        say(f"warning: {warning}")


def _parts(found: "Calibration", kind: str) -> list[tuple[object, ...]]:
    origin = found.parameters.origin
    return [
        (part.name, name, _value(value), origin.get(f"{kind}.{place}.{name}", "default"))
        for place, part in enumerate(getattr(found.parameters, kind))
        for name, value in part
        if name != "name"
    ]


def _ks(distance: "Distance | None") -> float | None:
    return None if distance is None else distance.ks


def _value(value: Any) -> object:
    """A parameter in a cell: tokens by their mean, the shape of a day by its range."""
    if isinstance(value, tuple):
        return f"{min(value):.2f} to {max(value):.2f}"
    return f"{value.mean:,.0f} (mean)" if hasattr(value, "mean") else value
