"""How results look in the web interface: tables, and plots small enough for the event log."""

import base64
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Literal

import dagster as dg

from cogorch_dagster.figures import drawn, reduced

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Dagster keeps metadata inside the event log, in a column that is read for every page that shows the event.
PLOT_LIMIT_BYTES = 20_000
# A picture that is so many times too large as a PNG of the fewest colours fits in no form.
_HOPELESS, _FEWEST = 5, 16
# What is tried in turn: format, colours, share of the size.
_FORMS: tuple[tuple[Literal["png", "webp"], int, float], ...] = (
    *(("png", 64, 1.0), ("png", 32, 1.0), ("png", 16, 1.0)),
    *(("webp", 16, 1.0), ("webp", 8, 1.0), ("webp", 16, 0.7), ("webp", 8, 0.7), ("webp", 8, 0.5)),
)
Cell = str | int | float | bool | None


def table(
    rows: Sequence[Mapping[str, object]], columns: Mapping[str, str], *, limit: int = 50
) -> dg.TableMetadataValue:
    """The first `limit` rows as a table.

    Args:
        columns: name -> description, in the order of display; a row may lack some.
    """
    kinds = {name: _kind([row.get(name) for row in rows]) for name in columns}
    return dg.MetadataValue.table(
        records=[dg.TableRecord({name: _cell(row.get(name), kinds[name]) for name in columns}) for row in rows[:limit]],
        schema=dg.TableSchema(
            columns=[dg.TableColumn(name, type=kinds[name], description=text) for name, text in columns.items()]
        ),
    )


def plot(
    draw: Callable[["Axes"], None], *, title: str, size: tuple[float, float] = (5.2, 2.4)
) -> dg.MarkdownMetadataValue:
    """A picture drawn by `draw` on one set of axes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, dpi=110, layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=7)
    axes.set_title(title, fontsize=8, loc="left")
    draw(axes)
    return picture(drawn(figure), title)


def picture(png: bytes, title: str) -> dg.MarkdownMetadataValue:
    """A PNG within markdown, in as many colours as fit into 20 kB.

    Where 16 are too many it becomes a lossless WebP, which takes about half as much for lines and text; then smaller.

    Raises:
        ValueError: it does not fit even then.
    """
    for form, colours, scale in _FORMS:
        small = reduced(png, colours, form=form, scale=scale)
        uri = f"data:image/{form};base64,{base64.b64encode(small).decode()}"
        if len(uri) < PLOT_LIMIT_BYTES:
            return dg.MetadataValue.md(f"![{title}]({uri})")
        if form == "png" and colours == _FEWEST and len(uri) > _HOPELESS * PLOT_LIMIT_BYTES:
            break
    raise ValueError(f"the plot {title!r} takes {len(uri)} bytes, the limit is {PLOT_LIMIT_BYTES}; draw less")


def shown(value: float | None, digits: int = 4) -> float | None:
    """A number rounded to significant digits for display."""
    return None if value is None else float(f"{value:.{digits}g}")


def moment(value: datetime | None) -> str:
    """A time as a person reads it, UTC to the second."""
    return "" if value is None else value.strftime("%Y-%m-%d %H:%M:%S")


def _kind(values: Sequence[object]) -> str:
    present = [value for value in values if value is not None]
    if present and all(isinstance(value, bool) for value in present):
        return "bool"
    if present and all(isinstance(value, int) and not isinstance(value, bool) for value in present):
        return "int"
    if present and all(isinstance(value, int | float) and not isinstance(value, bool) for value in present):
        return "float"
    return "string"


def _cell(value: object, kind: str) -> Cell:
    if value is None:
        return None if kind != "string" else ""
    if isinstance(value, datetime):
        return moment(value)
    return value if isinstance(value, bool | int | float | str) else str(value)
