"""Search for the ancestral graph with the best Gaussian BIC among the edges given, from a graph given.

A tabu search: at each step the best change that leads to a graph not yet visited is made, be it for the worse. Graphs
of one equivalence class score the same, so that a search for improvements alone would stay where it began.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cogorch_dagster.causal.data.sufficient import Floats, Integers
from cogorch_dagster.causal.discovery.kernels.compiled import compiled
from cogorch_dagster.causal.discovery.kernels.constraint_ancestry import APART, BACK, BOTH, FORTH, put, state_of, stays
from cogorch_dagster.causal.discovery.kernels.constraint_district import district_likelihood
from cogorch_dagster.causal.graphs.graph import Booleans, Marks

Numbers = NDArray[np.uint64]

_ARROW, _TAIL = 2, 3
_TABLE = 1 << 16
_MOST_STEPS = 5_000
_SAME = 1e-4


class Score(NamedTuple):
    """What a graph is scored by, and what was found before.

    Attributes:
        correlation: (q, q).
        start: (p + 1,), first column of each variable.
        rows: n.
        cost: of a parameter of an edge, in units of twice the log-likelihood.
        numbers: (p, p, 4) random 64-bit numbers, by which graphs and districts are told apart.
        keys, values: scores of districts, by the exclusive or of the numbers of their edges.
    """

    correlation: Floats
    start: Integers
    rows: float
    cost: float
    numbers: Numbers
    keys: Numbers
    values: Floats


@compiled
def district_of(marks: Marks, member: int, found: Booleans, queue: Integers) -> int:
    """Put the district of a variable into `queue`, ascending, and mark it; how many it has."""
    queue[0], count, head = member, 1, 0
    found[member] = True
    while head < count:
        here = queue[head]
        head += 1
        for v in range(len(marks)):
            if not found[v] and marks[here, v] == _ARROW and marks[v, here] == _ARROW:
                found[v] = True
                queue[count] = v
                count += 1
    for i in range(1, count):
        j = i
        while j > 0 and queue[j - 1] > queue[j]:
            queue[j - 1], queue[j] = queue[j], queue[j - 1]
            j -= 1
    return count


@compiled
def district_score(score: Score, marks: Marks, members: Integers, size: int) -> float:
    """BIC of the first `size` members, a district: twice its log-likelihood less the cost of edges' parameters."""
    key = np.uint64(0)
    parameters = 0
    start = score.start
    for t in range(size):
        m = members[t]
        key ^= score.numbers[m, m, 0]
        for u in range(len(marks)):
            # A <-> edge is counted once, from its later end.
            if marks[u, m] == _ARROW and (marks[m, u] == _TAIL or u < m):
                key ^= score.numbers[u, m, 1 if marks[m, u] == _TAIL else 3]
                parameters += (start[u + 1] - start[u]) * (start[m + 1] - start[m])
    slot = int(key & np.uint64(_TABLE - 1))
    if score.keys[slot] != key:
        value = district_likelihood(score.correlation, start, marks, members, size, score.rows)
        score.keys[slot] = key
        score.values[slot] = value - score.cost * parameters
    return float(score.values[slot])


@compiled
def districts_score(score: Score, marks: Marks, touched: Booleans, found: Booleans, queue: Integers) -> float:
    """BIC of the districts with a touched variable, (p,), in them; their members become `found`."""
    found[:] = False
    total = 0.0
    for t in range(len(marks)):
        if touched[t] and not found[t]:
            size = district_of(marks, t, found, queue)
            total += district_score(score, marks, queue, size)
    return total


@compiled
def write(moves: Integers, count: int, step: int, i: int, j: int, state: int) -> None:
    """Write a step of a move, and that none follows."""
    moves[count, step, 0], moves[count, step, 1], moves[count, step, 2] = i, j, state
    for after in range(step + 1, 3):
        moves[count, after, 0] = -1


@compiled
def neighbourhood(marks: Marks, permitted: Booleans, moves: Integers) -> int:
    """Put what to consider into `moves`, (m, 3, 3) of (i, j, state) with i < j, or i = -1 for none; how many."""
    p = len(marks)
    count = 0
    for i in range(p):
        for j in range(i + 1, p):
            now = state_of(marks, i, j)
            for state in range(4):
                if state != now and permitted[i, j, state]:
                    write(moves, count, 0, i, j, state)
                    count += 1
            if now != APART and permitted[i, j, APART]:
                for b in range(p):
                    if marks[i, b] != 0 and marks[j, b] != 0:
                        count = collisions(marks, permitted, i, j, b, moves, count)
    return count


@compiled
def collisions(marks: Marks, permitted: Booleans, i: int, j: int, b: int, moves: Integers, count: int) -> int:
    """Add to `moves`: no edge i - j, and b a collider between them by either kind of edge (GFCI's shielded triples)."""
    for first in (FORTH, BOTH):
        for second in (FORTH, BOTH):
            write(moves, count, 0, i, j, APART)
            step, allowed = 1, True
            for outer, kind in ((i, first), (j, second)):
                low, high = min(outer, b), max(outer, b)
                state = BOTH if kind == BOTH else (FORTH if outer < b else BACK)
                if state != state_of(marks, low, high):
                    allowed = allowed and permitted[low, high, state]
                    write(moves, count, step, low, high, state)
                    step += 1
            if allowed and step > 1:
                count += 1
    return count


@compiled
def key_after(numbers: Numbers, marks: Marks, move: Integers, key: np.uint64) -> np.uint64:
    """The key of the graph that a move leads to."""
    for s in range(3):
        i, j, state = move[s, 0], move[s, 1], move[s, 2]
        if i >= 0:
            key = key ^ numbers[i, j, state_of(marks, i, j)] ^ numbers[i, j, state]
    return key


@compiled
def among(visited: Numbers, count: int, key: np.uint64) -> bool:
    """Whether the key is one of the first `count`."""
    found = False
    for t in range(count):
        found = found or visited[t] == key
    return found


@compiled
def change_of(score: Score, marks: Marks, move: Integers, scratch: Booleans, queue: Integers) -> float:
    """By how much a move changes the BIC; -inf where the graph would not be ancestral."""
    touched, members, up, down = scratch[0], scratch[1], scratch[2], scratch[3]
    old = np.zeros(3, dtype=np.int64)
    touched[:] = False
    for s in range(3):
        if move[s, 0] >= 0:
            touched[move[s, 0]] = touched[move[s, 1]] = True
    # Districts may be cut or joined: what is in those before is in those after.
    before = districts_score(score, marks, touched, members, queue)
    for s in range(3):
        i, j, state = move[s, 0], move[s, 1], move[s, 2]
        if i >= 0:
            old[s] = state_of(marks, i, j)
            put(marks, i, j, state)
    change = 0.0
    for s in range(3):
        if move[s, 0] >= 0 and not stays(marks, move[s, 0], move[s, 1], up, down, queue):
            change = -np.inf
    if change == 0.0:
        change = districts_score(score, marks, members, up, queue) - before
    for s in range(3):
        if move[s, 0] >= 0:
            put(marks, move[s, 0], move[s, 1], old[s])
    return change


@compiled
def most_moves(permitted: Booleans) -> int:
    """How many moves a graph may have at most."""
    p = len(permitted)
    count = 1
    for i in range(p):
        for j in range(i + 1, p):
            for state in range(4):
                count += (4 * p if state == APART else 1) * permitted[i, j, state]
    return count


@compiled
def climb(
    correlation: Floats,
    start: Integers,
    marks: Marks,
    permitted: Booleans,
    rows: float,
    cost: float,
    patience: int,
    hurdle: float,
    numbers: Numbers,
) -> Marks:
    """The best graph met until `patience` steps in a row have not bettered it, or 5,000 in all.

    Args:
        marks: (p, p), where to begin; an ancestral graph whose edges are all between pairs that may have several.
        permitted: (p, p, 4), read above the diagonal: whether a pair may have no edge, ->, <-, <->.
        hurdle: by how much of the BIC a graph must better the best one so far to take its place.
    """
    p = len(marks)
    marks = marks.copy()
    score = Score(correlation, start, rows, cost, numbers, np.zeros(_TABLE, dtype=np.uint64), np.zeros(_TABLE))
    moves = np.zeros((most_moves(permitted), 3, 3), dtype=np.int64)
    scratch, queue = np.zeros((4, p), dtype=np.bool_), np.zeros(p + 1, dtype=np.int64)
    here = np.uint64(0)
    for i in range(p):
        for j in range(i + 1, p):
            here ^= numbers[i, j, state_of(marks, i, j)]
    visited, steps = np.zeros(_MOST_STEPS, dtype=np.uint64), 0
    best, gain, best_gain, stalled = marks.copy(), 0.0, 0.0, 0
    while stalled < patience and steps < _MOST_STEPS:
        visited[steps] = here
        steps += 1
        chosen, most, key = -1, -np.inf, here
        for m in range(neighbourhood(marks, permitted, moves)):
            there = key_after(numbers, marks, moves[m], here)
            if among(visited, steps, there):
                continue
            change = change_of(score, marks, moves[m], scratch, queue)
            if change > most + _SAME:
                chosen, most, key = m, change, there
        if chosen < 0:
            break
        for s in range(3):
            if moves[chosen, s, 0] >= 0:
                put(marks, moves[chosen, s, 0], moves[chosen, s, 1], moves[chosen, s, 2])
        gain, here = gain + most, key
        stalled += 1
        if gain > best_gain + hurdle:
            best, best_gain, stalled = marks.copy(), gain, 0
    return best
