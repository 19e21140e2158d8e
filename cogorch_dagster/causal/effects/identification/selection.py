"""Adjustment where it depended on some variables whether a row is in the data at all.

Each such variable gets a child that says whether the row was kept; of the data all is known given that it was. Rules 1
to 3 of do-calculus (Pearl 1995) then give three conditions, in the manner of Correa and Bareinboim (2017).
"""

from dataclasses import replace

from cogorch_dagster.causal.effects.identification.adjustment import MOST_ALTERNATIVES
from cogorch_dagster.causal.effects.identification.admg import Admg, Set, bits
from cogorch_dagster.causal.effects.identification.paths import open_path
from cogorch_dagster.causal.effects.identification.separators import largest_separator, minimal_separators

KEPT = "kept by "


def with_selection(graph: Admg, selected: Set) -> tuple[Admg, Set]:
    """The graph with a child "kept" for each variable, and these children."""
    count, variables = len(graph.names), list(bits(selected))
    grown = replace(
        graph,
        names=(*graph.names, *(f"{KEPT}{graph.names[each]}" for each in variables)),
        parents=(*graph.parents, *(1 << each for each in variables)),
        spouses=(*graph.spouses, *(0 for _ in variables)),
    )
    return grown, ((1 << len(variables)) - 1) << count


def spoiled_by(graph: Admg, kept: Set, treatment: int, outcome: int) -> str | None:
    """A path by which the selection tells of the outcome even under intervention; None where there is none.

    While there is one, P(y | do(t)) of everybody is not that of the selected (rule 1 does not apply).
    """
    return open_path(graph.without_arrows(into=1 << treatment), outcome, kept, 1 << treatment)


def adjustment_under_selection(graph: Admg, kept: Set, treatment: int, outcome: int) -> tuple[Set, list[Set]] | None:
    """A minimal Z with P(y | do(t)) = sum_z P(y | t, z, kept) P(z | kept), and others; None where there is none.

    Conditions: the selection is apart from the outcome under do(t); Z and the selection block each back-door path; Z
    has no effect of the treatment and is apart from it among the selected, if the treatment affects the selection.
    """
    t, y = 1 << treatment, 1 << outcome
    if spoiled_by(graph, kept, treatment, outcome) is not None:
        return None
    allowed = graph.everything & ~(graph.descendants(t) | y | kept)
    if graph.ancestors(kept) & t:
        allowed &= ~graph.reached(t, kept)
    cut = graph.without_arrows(out_of=t)
    if largest_separator(cut, t, y, allowed, kept) is None:
        return None
    found = []
    for each in minimal_separators(cut, t, y, allowed, kept):
        found.append(each)
        if len(found) > MOST_ALTERNATIVES:
            break
    found.sort(key=int.bit_count)
    return found[0], found[1:]
