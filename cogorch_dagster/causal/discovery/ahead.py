"""Compiles every kernel now, so that nobody waits for it later: `python -m cogorch_dagster.causal.discovery.ahead`.

The machine code is kept beside the source; a second call finds it and ends at once.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from cogorch_dagster.causal.data.dataset import CausalDataset, Variable
from cogorch_dagster.causal.discovery.discover import discover
from cogorch_dagster.causal.discovery.settings import Algorithm, DiscoverySettings

_ROWS = 200
_VARIABLES = 5


def compile_kernels() -> None:
    """Run each search once on a few rows."""
    for data, algorithm in _cases():
        discover(data, settings=DiscoverySettings(algorithm=algorithm, resamples=2, restarts=2))


def _cases() -> Iterator[tuple[CausalDataset, Algorithm]]:
    rng = np.random.default_rng(0)
    values = np.cumsum(rng.standard_normal((_ROWS, _VARIABLES)), axis=1)
    names = tuple(f"x{place}" for place in range(_VARIABLES))
    order = np.arange(_ROWS)
    numbers = CausalDataset("numbers", tuple(Variable(name) for name in names), values, order, order)
    levels = tuple(Variable(name, kind="discrete", levels=("a", "b", "c")) for name in names)
    codes = np.digitize(values, [-0.5, 0.5]).astype(np.float64)
    mixed = replace(
        numbers, variables=(*levels[:2], *numbers.variables[2:]), values=np.hstack([codes[:, :2], values[:, 2:]])
    )
    searches: tuple[Algorithm, ...] = ("boss", "pc", "fci", "guided_fci")
    for algorithm in searches:
        yield numbers, algorithm
        yield mixed, algorithm
    yield replace(numbers, variables=levels, values=codes), "boss"


if __name__ == "__main__":
    compile_kernels()
