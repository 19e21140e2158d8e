"""All extreme equilibria of a small two-player game, by the vertices of both best-response polytopes.

Every equilibrium is a convex combination of extreme ones (Mangasarian 1964; von Stengel 2002, section 2.5): pairs of
vertices that together carry all labels. All arithmetic is in integers, so ties are ties. It takes time exponential in
the number of actions; `lemke_howson` finds one in any game.
"""

import time
from fractions import Fraction

import numpy as np

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.games.lemke_howson import normalised
from cogorch_dagster.games.payoffs import Equilibrium, Game, verified
from cogorch_dagster.games.tableau import Tableau, positive_integers

METHOD = "vertex enumeration"
MOST_BASES = 20_000
_MOST_LABELS = 62


def all_equilibria(game: Game) -> list[Equilibrium]:
    """The extreme equilibria of a two-player game, in lexicographic order of their mixes; at least one.

    `seconds` of each is the time of the whole enumeration.

    Raises:
        InvalidInput: not two players, more than 62 actions in all, or a polytope with more than 20,000 bases.
    """
    if game.n_players != 2:
        raise InvalidInput(f"all equilibria can be listed for 2 players, the game has {game.n_players}")
    if sum(game.shape) > _MOST_LABELS:
        raise InvalidInput(f"the game has {sum(game.shape)} actions, at most {_MOST_LABELS} can be enumerated")
    start = time.perf_counter()
    m, n = game.shape
    rows, columns = range(m), range(m, m + n)
    first = _vertices(Tableau(positive_integers(game.payoffs[1]).T, rows, columns), rows)
    second = _vertices(Tableau(positive_integers(game.payoffs[0]), columns, rows), columns)
    complete = (1 << (m + n)) - 1
    masks = np.array(list(second.values()), dtype=np.int64)
    mixes = list(second)
    pairs = [
        (normalised(x), normalised(mixes[k]))
        for x, mask in first.items()
        for k in np.flatnonzero((masks | mask) == complete)
    ]
    pairs.sort(key=lambda pair: (*map(tuple, pair),), reverse=True)
    seconds = time.perf_counter() - start
    return [verified(game, pair, METHOD, seconds) for pair in pairs]


def _vertices(start: Tableau, own: range) -> dict[tuple[Fraction, ...], int]:
    """Every vertex but 0 by its coordinates, with its labels as bits: those of all variables that are 0 there."""
    seen = {frozenset(start.basis)}
    waiting = [start]
    found: dict[tuple[Fraction, ...], int] = {}
    while waiting:
        tableau = waiting.pop()
        values = tableau.values()
        place = tuple(values[own.start : own.stop])
        if any(place):
            found[place] = sum(1 << label for label, value in enumerate(values) if value == 0)
        for entering in set(range(len(values))).difference(tableau.basis):
            # All ties are followed: of a degenerate vertex, some bases lead to neighbours that others do not.
            for row in tableau.tied_rows(entering):
                basis = frozenset(tableau.basis) - {tableau.basis[row]} | {entering}
                if basis in seen:
                    continue
                if len(seen) >= MOST_BASES:
                    raise InvalidInput(f"the game has more than {MOST_BASES:,} bases; too large to list all equilibria")
                seen.add(basis)
                step = tableau.copy()
                step.pivot(entering, row)
                waiting.append(step)
    return found
