"""Columns of earlier rows beside those of the row: an autoscaler reacts to the latency of the bucket before."""

import re
from dataclasses import replace

import numpy as np

from cogorch_dagster.causal.data.autocorrelation import positions
from cogorch_dagster.causal.data.dataset import CausalDataset, Variable
from cogorch_dagster.errors import InvalidInput

MOST_LAGS = 24
_LAGGED = re.compile(r"@-[1-9]\d*$")


def lagged_name(name: str, lag: int) -> str:
    """`latency_ms@-1`."""
    return f"{name}@-{lag}"


def is_lagged(name: str) -> bool:
    """Whether a name is that of a column of an earlier row."""
    return _LAGGED.search(name) is not None


def with_lags(data: CausalDataset, lags: int, names: tuple[str, ...] | None = None) -> CausalDataset:
    """The data set with the values of the `lags` rows before each row of its group; rows without them are left out.

    The oldest come in tier 0, one tier for each lag; the tiers of the others rise by `lags`.

    Args:
        names: which variables; all by default.

    Raises:
        InvalidInput: `lags` is not 0 to 24, an unknown name, lags there already, or no row has so many before it.
    """
    if not 0 <= lags <= MOST_LAGS:
        raise InvalidInput(f"lags {lags} must lie between 0 and {MOST_LAGS}")
    if lags == 0:
        return data
    if any(is_lagged(name) for name in data.names):
        raise InvalidInput(f"{data.scope!r} has columns of earlier rows already")
    places = [data.index(name) for name in (names if names is not None else data.names)]
    rows = np.flatnonzero(positions(data.groups) >= lags)
    if len(rows) == 0:
        raise InvalidInput(f"no row of {data.scope!r} has {lags} rows before it in its group; take fewer lags")
    variables: list[Variable] = []
    columns = []
    for lag in range(lags, 0, -1):
        variables += [_earlier(data.variables[place], lag, lags - lag) for place in places]
        columns.append(data.values[rows - lag][:, places])
    variables += [replace(variable, tier=variable.tier + lags) for variable in data.variables]
    columns.append(data.values[rows])
    return replace(
        data,
        variables=tuple(variables),
        values=np.concatenate(columns, axis=1),
        groups=data.groups[rows],
        times=data.times[rows],
    )


def _earlier(variable: Variable, lag: int, tier: int) -> Variable:
    said = f"{variable.description or variable.name}, {lag} row{'s' if lag > 1 else ''} before"
    return replace(variable, name=lagged_name(variable.name, lag), role="context", tier=tier, description=said)
