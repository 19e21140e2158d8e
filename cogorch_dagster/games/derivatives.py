"""Values of all actions of all players at once, and how they change with everybody's mix.

For solvers, which ask many times and think of all mixes as one vector. Not here: what is done with the derivatives.
"""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from cogorch_dagster.games.payoffs import Floats, Game, Profile

Bools: TypeAlias = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Derivatives:
    """A game of at least two players as solvers see it: the mixes of all are one stacked vector [N], N = sum of A_i.

    Attributes:
        payoffs: [n, A_1, ..., A_n].
        sizes: A_i of each player.
        slices: where player i's actions stand in a stacked vector.
        starts: first action of each player there, int [n].
        owner: player of each stacked action, int [N].
    """

    payoffs: Floats
    sizes: tuple[int, ...]
    slices: tuple[slice, ...]
    starts: NDArray[np.int64]
    owner: NDArray[np.int64]

    @property
    def total(self) -> int:
        return len(self.owner)

    @property
    def players(self) -> int:
        return len(self.sizes)

    def at(self, x: Floats) -> tuple[Floats, Floats]:
        """Values [N] of the pure actions against the others' mixes in `x` [N], and their slopes [N, N] in `x`.

        Values are linear in each player's mix; `x` need not lie on the simplex. A player's slopes in its own mix are 0.
        """
        slopes = np.zeros((self.total, self.total))
        self._contract(self.payoffs.reshape(-1, 1), self.players - 1, (), x, slopes)
        return slopes @ x / (self.players - 1), slopes

    def _contract(self, rest: Floats, player: int, kept: tuple[int, ...], x: Floats, slopes: Floats) -> None:
        """Average over or keep the axis of `player`, then the ones before, so that each pair of axes is kept once.

        `rest` [n A_1 ... A_player, sizes of the kept]: shared by all pairs whose kept axes begin alike, so that all
        slopes together cost a few passes over the payoffs.
        """
        if player < 0:
            later, earlier = kept
            both = rest.reshape(self.players, self.sizes[earlier], self.sizes[later])
            slopes[self.slices[earlier], self.slices[later]] = both[earlier]
            slopes[self.slices[later], self.slices[earlier]] = both[later].T
            return
        size, width, missing = self.sizes[player], rest.shape[1], 2 - len(kept)
        if player + 1 > missing:
            mix = x[self.slices[player]]
            mean = rest.reshape(-1, size) @ mix if width == 1 else np.matmul(mix, rest.reshape(-1, size, width))
            self._contract(mean.reshape(-1, width), player - 1, kept, x, slopes)
        if missing:
            self._contract(rest.reshape(-1, size * width), player - 1, (*kept, player), x, slopes)

    def profile(self, x: Floats) -> Profile:
        """Mixes of a stacked vector, with what lies below 0 by rounding cut off; sums to 1.

        A player of whom nothing is left gets the uniform mix.
        """
        mixes = []
        for part in self.slices:
            mix = np.maximum(x[part], 0.0)
            total = mix.sum()
            mixes.append(mix / total if np.isfinite(total) and total > 0 else np.full(len(mix), 1 / len(mix)))
        return tuple(mixes)

    def uniform(self) -> Floats:
        return np.concatenate([np.full(size, 1 / size) for size in self.sizes])

    def best(self, values: Floats) -> Floats:
        """The largest of `values` [N] of each action's owner, for each action [N]."""
        return np.asarray(np.maximum.reduceat(values, self.starts)[self.owner], dtype=np.float64)

    def gap(self, x: Floats) -> float:
        """The NashConv at stacked mixes: what all could gain by deviating alone."""
        values = self.at(x)[0]
        return float(x @ (self.best(values) - values))


def derivatives(game: Game) -> Derivatives:
    """A game of at least two players, laid out; shares the memory of its payoffs."""
    sizes = game.shape
    starts = np.cumsum((0, *sizes[:-1]))
    slices = tuple(slice(int(start), int(start) + size) for size, start in zip(sizes, starts, strict=True))
    return Derivatives(game.payoffs, sizes, slices, starts, np.repeat(np.arange(game.n_players), sizes))
