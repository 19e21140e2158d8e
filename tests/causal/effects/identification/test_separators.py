"""Minimal separators are those of all subsets, and one is found whenever there is one."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from cogorch_dagster.causal.effects.identification.admg import Admg
from cogorch_dagster.causal.effects.identification.separators import largest_separator, minimal_separators
from tests.causal.effects.identification.exact import random_admg, subsets

LAW = settings(max_examples=150, deadline=None)


@LAW
@given(st.integers(0, 2**32 - 1), st.booleans(), st.booleans())
def test_all_minimal_separators_and_no_others_are_listed(seed: int, several: bool, conditioned: bool) -> None:
    rng = np.random.default_rng(seed)
    graph = random_admg(rng, 7, 0.3, 0.12)
    order = [int(v) for v in rng.permutation(7)]
    first = 1 << order[0] | (1 << order[1] if several else 0)
    second = 1 << order[2] | (1 << order[3] if several else 0)
    fixed = 1 << order[4] if conditioned else 0
    allowed = int(rng.integers(1 << 7)) | int(rng.integers(1 << 7))
    pool = allowed & ~(first | second | fixed)
    separating = [each for each in subsets(pool) if graph.separated(first, second, each | fixed)]
    # Minimal in its ancestors: a set of which no proper subset separates.
    wanted = {each for each in separating if not any(other & each == other != each for other in separating)}
    found = list(minimal_separators(graph, first, second, allowed, fixed))
    assert len(found) == len(set(found))
    assert set(found) == wanted
    largest = largest_separator(graph, first, second, allowed, fixed)
    assert (largest is not None) == bool(wanted)
    assert largest is None or largest in separating


def test_the_first_is_next_to_the_second_end() -> None:

    # x <- a -> b -> y
    directed = np.zeros((4, 4), dtype=bool)
    directed[1, 0] = directed[1, 2] = directed[2, 3] = True
    graph = Admg.of(("x", "a", "b", "y"), directed, directed & False)
    assert list(minimal_separators(graph, 1, 8, 6)) == [4, 2]
