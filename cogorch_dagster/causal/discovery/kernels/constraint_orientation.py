"""What follows for the marks of a partial ancestral graph: Zhang's rules R1 to R10, and sets of possible d-separation.

The rules only ever replace circles. 0 no edge, 1 circle, 2 arrow, 3 tail; `marks[i, j]` is the mark at j.
"""

import numpy as np

from cogorch_dagster.causal.data.sufficient import Integers
from cogorch_dagster.causal.discovery.kernels.compiled import compiled
from cogorch_dagster.causal.graphs.graph import Booleans, Marks

_CIRCLE, _ARROW, _TAIL = 1, 2, 3
_MOST_STEPS = 100_000


@compiled
def arrowheads(marks: Marks) -> bool:
    """R1, R2 and R3 once around; whether a mark changed."""
    p = len(marks)
    changed = False
    for a in range(p):
        for b in range(p):
            if marks[a, b] == 0:
                continue
            for c in range(p):
                if c == a or marks[b, c] == 0:
                    continue
                # R1: a *-> b o-* c, a and c apart.
                if marks[a, b] == _ARROW and marks[c, b] == _CIRCLE and marks[a, c] == 0 and marks[b, c] != _TAIL:
                    marks[c, b] = _TAIL
                    marks[b, c] = _ARROW
                    changed = True
                # R2: a -> b *-> c or a *-> b -> c, and a *-o c.
                if (
                    marks[a, c] == _CIRCLE
                    and marks[a, b] == _ARROW
                    and marks[b, c] == _ARROW
                    and (marks[b, a] == _TAIL or marks[c, b] == _TAIL)
                ):
                    marks[a, c] = _ARROW
                    changed = True
            # R3: a *-> b <-* c, a *-o d o-* c, a and c apart, d *-o b.
            if marks[a, b] == _ARROW:
                for c in range(a + 1, p):
                    if marks[c, b] != _ARROW or marks[a, c] != 0:
                        continue
                    for d in range(p):
                        if marks[d, b] == _CIRCLE and marks[a, d] == _CIRCLE and marks[c, d] == _CIRCLE:
                            marks[d, b] = _ARROW
                            changed = True
    return changed


@compiled
def far_end(marks: Marks, a: int, b: int, c: int, seen: Booleans, queue: Integers) -> int:
    """The end d of the shortest path d, ..., a, b, c that discriminates b, -1 where there is none.

    d and c are apart, and all between d and b are colliders on the path and parents of c.
    """
    p = len(marks)
    for v in range(p):
        seen[v] = False
    seen[a] = seen[b] = seen[c] = True
    queue[0] = a
    head, tail = 0, 1
    while head < tail:
        here = queue[head]
        head += 1
        for d in range(p):
            if seen[d] or marks[d, here] != _ARROW:
                continue
            if marks[d, c] == 0:
                return d
            if marks[here, d] == _ARROW and marks[d, c] == _ARROW and marks[c, d] == _TAIL:
                seen[d] = True
                queue[tail] = d
                tail += 1
    return -1


@compiled
def discriminate(marks: Marks, sets: Booleans) -> bool:
    """R4, at the first vertex b o-* c that a path discriminates; whether a mark changed.

    b -> c when b is in the set that separates the ends of the path, else it is a collider.
    """
    p = len(marks)
    seen = np.zeros(p, dtype=np.bool_)
    queue = np.zeros(p, dtype=np.int64)
    for b in range(p):
        for c in range(p):
            if marks[c, b] != _CIRCLE or marks[b, c] == _TAIL:
                continue
            for a in range(p):
                if marks[b, a] != _ARROW or marks[a, c] != _ARROW or marks[c, a] != _TAIL:
                    continue
                end = far_end(marks, a, b, c, seen, queue)
                if end >= 0 and sets[end, c, b]:
                    marks[c, b] = _TAIL
                    marks[b, c] = _ARROW
                    return True
                if end >= 0 and marks[a, b] != _TAIL:
                    marks[a, b] = marks[c, b] = marks[b, c] = _ARROW
                    return True
    return False


@compiled
def uncovered(marks: Marks, first: int, second: int, end: int, circles: bool, barred: int) -> Integers:
    """An uncovered path first, second, ..., end that may be directed; empty where there is none.

    Args:
        circles: take o-o edges only, and no path whose last vertex but one is next to the first (for R5).
        barred: a vertex that is not passed, or -1.
    """
    p = len(marks)
    path = np.zeros(p + 1, dtype=np.int64)
    trial = np.zeros(p + 1, dtype=np.int64)
    used = np.zeros(p, dtype=np.bool_)
    path[0], path[1] = first, second
    used[first] = used[second] = True
    if second == end:
        return path[:2]
    depth, steps = 1, 0
    while depth > 0 and steps < _MOST_STEPS:
        steps += 1
        here, after = path[depth], trial[depth]
        if after == p:
            used[here] = False
            depth -= 1
            continue
        trial[depth] += 1
        if marks[here, after] == 0 or used[after] or after == barred or marks[path[depth - 1], after] != 0:
            continue
        if circles:
            if marks[here, after] != _CIRCLE or marks[after, here] != _CIRCLE:
                continue
            if after == end and marks[here, first] != 0:
                continue
        elif marks[after, here] == _ARROW or marks[here, after] == _TAIL:
            continue
        depth += 1
        path[depth] = after
        if after == end:
            return path[: depth + 1]
        trial[depth] = 0
        used[after] = True
    return path[:0]


@compiled
def undirected(marks: Marks) -> bool:
    """R5, R6 and R7, which only selection brings into play; whether a mark changed."""
    p = len(marks)
    changed = False
    for a in range(p):
        for b in range(p):
            if a == b or marks[a, b] != _CIRCLE or marks[b, a] != _CIRCLE:
                continue
            for c in range(p):
                if c == b or marks[a, c] != _CIRCLE or marks[c, a] != _CIRCLE or marks[b, c] != 0:
                    continue
                path = uncovered(marks, a, c, b, True, -1)
                if len(path) < 4:
                    continue
                marks[a, b] = marks[b, a] = _TAIL
                for t in range(len(path) - 1):
                    marks[path[t], path[t + 1]] = marks[path[t + 1], path[t]] = _TAIL
                changed = True
                break
    for a in range(p):
        for b in range(p):
            # R6: a -- b o-* c. R7: a -o b o-* c, a and c apart.
            if marks[b, a] != _TAIL or marks[a, b] not in {_TAIL, _CIRCLE}:
                continue
            for c in range(p):
                if c != a and marks[c, b] == _CIRCLE and (marks[a, b] == _TAIL or marks[a, c] == 0):
                    marks[c, b] = _TAIL
                    changed = True
    return changed


@compiled
def first_steps(marks: Marks, a: int, end: int, barred: int) -> Booleans:
    """(p,); which neighbours of a begin an uncovered path to `end` that may be directed."""
    found = np.zeros(len(marks), dtype=np.bool_)
    for m in range(len(marks)):
        if m != barred and marks[a, m] != 0 and marks[m, a] != _ARROW and marks[a, m] != _TAIL:
            found[m] = len(uncovered(marks, a, m, end, False, barred)) > 0
    return found


@compiled
def tails(marks: Marks) -> bool:
    """R8, R9 and R10 once around, each for a o-> c; whether a mark changed."""
    p = len(marks)
    changed = False
    for a in range(p):
        for c in range(p):
            if marks[a, c] == _ARROW and marks[c, a] == _CIRCLE and is_cause(marks, a, c):
                marks[c, a] = _TAIL
                changed = True
    return changed


@compiled
def is_cause(marks: Marks, a: int, c: int) -> bool:
    """Whether R8, R9 or R10 makes a o-> c into a -> c."""
    p = len(marks)
    for b in range(p):
        # R8: a -> b -> c or a -o b -> c.
        if marks[b, a] == _TAIL and marks[a, b] in {_ARROW, _CIRCLE} and marks[b, c] == _ARROW and marks[c, b] == _TAIL:
            return True
        # R9: an uncovered path a, b, ..., c that may be directed, b and c apart.
        if (
            b not in {a, c}
            and marks[a, b] not in {0, _TAIL}
            and marks[b, a] != _ARROW
            and marks[b, c] == 0
            and len(uncovered(marks, a, b, c, False, -1))
        ):
            return True
    # R10: b -> c <- d, and such paths from a to b by m and to d by w, m and w apart.
    for b in range(p):
        if b == a or marks[b, c] != _ARROW or marks[c, b] != _TAIL:
            continue
        by_b = first_steps(marks, a, b, c)
        for d in range(b + 1, p):
            if d == a or marks[d, c] != _ARROW or marks[c, d] != _TAIL:
                continue
            by_d = first_steps(marks, a, d, c)
            for m in range(p):
                for w in range(p):
                    if by_b[m] and by_d[w] and m != w and marks[m, w] == 0:
                        return True
    return False


@compiled
def close(marks: Marks, sets: Booleans, selection: bool) -> None:
    """Apply the rules, in place, until nothing follows: arrowheads first, then tails (Zhang 2008)."""
    while True:
        if not arrowheads(marks) and not discriminate(marks, sets):
            break
    while True:
        changed = selection and undirected(marks)
        if not tails(marks) and not changed:
            break


@compiled
def possible_separators(marks: Marks) -> Booleans:
    """(p, p); whether z is in Possible-D-SEP of x (Spirtes, Glymour and Scheines 2000, section 6.7).

    That is, on a path from x all of whose inner vertices are colliders on it or have neighbours on it that are joined.
    """
    p = len(marks)
    found = np.zeros((p, p), dtype=np.bool_)
    seen = np.zeros((p, p), dtype=np.bool_)
    queue = np.zeros((p * p + 1, 2), dtype=np.int64)
    for x in range(p):
        seen[:] = False
        head, tail = 0, 0
        for b in range(p):
            if marks[x, b] != 0:
                queue[tail, 0], queue[tail, 1] = x, b
                tail += 1
                seen[x, b] = True
                found[x, b] = True
        while head < tail:
            a, b = queue[head, 0], queue[head, 1]
            head += 1
            for c in range(p):
                if c in {a, x} or marks[b, c] == 0 or seen[b, c]:
                    continue
                if marks[a, c] != 0 or (marks[a, b] == _ARROW and marks[c, b] == _ARROW):
                    seen[b, c] = True
                    found[x, c] = True
                    queue[tail, 0], queue[tail, 1] = b, c
                    tail += 1
    return found
