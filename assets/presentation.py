"""How results look in the web interface: tables, and plots small enough for the event log."""

import base64
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from io import BytesIO
from typing import TYPE_CHECKING

import dagster as dg

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Dagster keeps metadata inside the event log, in a column that is read for every page that shows the event.
PLOT_LIMIT_BYTES = 20_000
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
    # Not pyplot: its global state is neither thread-safe nor free of leaks.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=7)
    axes.set_title(title, fontsize=8, loc="left")
    draw(axes)
    raw = BytesIO()
    figure.savefig(raw, format="png")
    return picture(raw.getvalue(), title)


def picture(png: bytes, title: str) -> dg.MarkdownMetadataValue:
    """A PNG within markdown, in as many colours as fit into 20 kB, and a little smaller where 16 are too many.

    Raises:
        ValueError: it does not fit even then.
    """
    for colours, scale in ((64, 1.0), (32, 1.0), (16, 1.0), (16, 0.85), (16, 0.7)):
        uri = f"data:image/png;base64,{_reduced(png, colours, scale)}"
        if len(uri) < PLOT_LIMIT_BYTES:
            return dg.MetadataValue.md(f"![{title}]({uri})")
    raise ValueError(f"the plot {title!r} takes {len(uri)} bytes, the limit is {PLOT_LIMIT_BYTES}; draw less")


def shown(value: float | None, digits: int = 4) -> float | None:
    """A number rounded to significant digits for display."""
    return None if value is None else float(f"{value:.{digits}g}")


def moment(value: datetime | None) -> str:
    """A time as a person reads it, UTC to the second."""
    return "" if value is None else value.strftime("%Y-%m-%d %H:%M:%S")


def _reduced(png: bytes, colours: int, scale: float) -> str:
    from PIL import Image

    small = BytesIO()
    with Image.open(BytesIO(png)) as original:
        drawn = original.convert("RGB")
        if scale < 1:
            drawn = drawn.resize((round(drawn.width * scale), round(drawn.height * scale)))
        drawn.quantize(colours).save(small, format="PNG", optimize=True)
    return base64.b64encode(small.getvalue()).decode()


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
