"""Every knob, action, conflict and dimension of a state stands in docs/fleet.md, with its unit and range."""

import re
from pathlib import Path

from cogorch_dagster.fleet.actions import TABLES
from cogorch_dagster.fleet.conflicts import CONFLICTS
from cogorch_dagster.fleet.knobs import BOUNDS
from cogorch_dagster.fleet.signals import SIGNALS, VIEWS

ROWS = {
    tuple(cell.strip() for cell in line.strip("|").split("|"))
    for line in (Path(__file__).parents[2] / "docs" / "fleet.md").read_text().splitlines()
    if line.startswith("|")
}


def _generic(name: str) -> str:
    return re.sub(r"_\d$", "_i", name)


def test_knobs() -> None:
    for name, bound in BOUNDS.items():
        default = bound.default if isinstance(bound.default, tuple) else (bound.default,)
        values = ", ".join(f"{each:g}" for each in default)
        assert (f"`{name}`", bound.unit, f"{bound.low:g}", f"{bound.high:g}", values, bound.meaning) in ROWS


def test_actions_and_conflicts() -> None:
    for table in TABLES.values():
        for index, action in enumerate(table):
            assert (str(index), f"`{action.name}`", action.meaning) in ROWS
    for each in CONFLICTS:
        first, second = f"{each.first}: `{each.first_action}`", f"{each.second}: `{each.second_action}`"
        assert (first, second, each.reason) in ROWS


def test_dimensions_of_the_states() -> None:
    for name, signal in SIGNALS.items():
        same = [each for each in SIGNALS if _generic(each) == _generic(name)]
        places = [", ".join(str(view.index(each)) for each in same if each in view) for view in VIEWS.values()]
        extent = f"{signal.low:g} to {signal.high:g}{', log' if signal.logarithmic else ''}"
        assert (f"`{_generic(name)}`", signal.unit, extent, *places, signal.meaning) in ROWS
