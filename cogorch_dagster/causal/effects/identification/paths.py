"""Open paths as people read them: `replicas <- load -> latency`, with what is hidden named where it has a name."""

from cogorch_dagster.causal.effects.identification.admg import Admg, Set, bits


def open_path(graph: Admg, first: int, second: Set, given: Set) -> str | None:
    """A shortest path from a variable to a set that is open given a set; None where there is none."""
    opened = graph.ancestors(given)
    start = (first, False)
    before: dict[tuple[int, bool], tuple[tuple[int, bool], str]] = {}
    queue = [start]
    while queue:
        here, head = state = queue.pop(0)
        if second >> here & 1 and state != start:
            return _told(graph, before, state)
        free = state == start or not given >> here & 1
        collider_open = bool(opened >> here & 1)
        steps = []
        if (not head and free) or (head and collider_open):
            steps += [((each, False), " <- ") for each in bits(graph.parents[here])]
            steps += [((each, True), _hidden(graph, here, each)) for each in bits(graph.spouses[here])]
        if free:
            steps += [((each, True), " -> ") for each in bits(graph.children[here])]
        for after, drawn in steps:
            if after not in before and after[0] != first:
                before[after] = (state, drawn)
                queue.append(after)
    return None


def _hidden(graph: Admg, a: int, b: int) -> str:
    names = graph.hidden.get((min(a, b), max(a, b)))
    return f" <- {' or '.join(sorted(names))} (hidden) -> " if names else " <-> "


def _told(graph: Admg, before: dict[tuple[int, bool], tuple[tuple[int, bool], str]], state: tuple[int, bool]) -> str:
    text = graph.names[state[0]]
    while state in before:
        state, drawn = before[state]
        text = graph.names[state[0]] + drawn + text
    return text
