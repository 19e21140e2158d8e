"""Contributions of paths and edges against a listing of all paths."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cogorch_dagster.causal.effects.query import NotIdentified
from cogorch_dagster.causal.models.fitting import fit_model
from cogorch_dagster.causal.models.paths import Decomposition, decomposed, largest_paths
from cogorch_dagster.errors import InvalidInput
from tests.causal.models.linear import chosen, dataset, truth


def every_path(coefficients: np.ndarray, start: int, end: int) -> dict[tuple[int, ...], float]:
    if start == end:
        return {(end,): 1.0}
    found = {}
    for k in np.flatnonzero(coefficients[start]):
        for path, product in every_path(coefficients, int(k), end).items():
            found[(start, *path)] = coefficients[start, k] * product
    return found


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 7), st.integers(0, 2**32 - 1), st.integers(1, 8))
def test_the_largest_paths_are_found_and_all_sum_to_the_total(p: int, seed: int, most: int) -> None:
    rng = np.random.default_rng(seed)
    own = truth(rng, p, p - 1)
    model = fit_model(own.graph, dataset(own.drawn(rng, 60), own.graph.names), draws=20)
    bank = model.members[0]
    coefficients = np.zeros((p, p))
    coefficients[bank.cause, bank.effect] = bank.coefficients[:, 0]
    start, end = rng.permutation(p)[:2]
    wanted = every_path(coefficients, int(start), int(end))
    ranked = sorted(wanted, key=lambda path: -abs(wanted[path]))
    assert largest_paths(bank, start, end, most) == ranked[:most]
    found = decomposed(model, f"v{start}", f"v{end}", most=1000)
    assert isinstance(found, Decomposition)
    assert found.total.value == pytest.approx(sum(wanted.values()))
    assert len(found.paths) == len(wanted)
    assert found.rest == pytest.approx(0, abs=1e-9)
    # What flows over an edge is what the paths through it carry.
    over = {(each.cause, each.effect): each for each in found.edges}
    for (cause, effect), each in over.items():
        i, j = int(cause[1:]), int(effect[1:])
        carried = sum(v for path, v in wanted.items() if (i, j) in pairwise(path))
        assert each.contribution.value == pytest.approx(carried, abs=1e-9)
        assert each.coefficient.value == pytest.approx(coefficients[i, j])
    on_paths = {(f"v{a}", f"v{b}") for path in wanted for a, b in pairwise(path)}
    assert set(over) == on_paths


def test_a_path_reads_well_and_has_an_interval() -> None:
    own = chosen({("a", "b"): 2.0, ("b", "c"): 3.0, ("a", "c"): -1.0, ("z", "a"): 1.0}, "zabc", [0] * 4)
    model = fit_model(own.graph, dataset(own.drawn(np.random.default_rng(0), 500), "zabc"))
    found = decomposed(model, "a", "c", most=1)
    assert isinstance(found, Decomposition)
    (path,) = found.paths
    assert path.text == "a -> b -> c"
    assert path.contribution.interval[0] < 6.0 < path.contribution.interval[1]
    assert found.rest == pytest.approx(-1.0, abs=0.3)
    assert ("z", "a") not in {(each.cause, each.effect) for each in found.edges}
    # Nothing flows against the arrows.
    backward = decomposed(model, "c", "a")
    assert isinstance(backward, Decomposition)
    assert (backward.total.value, backward.total.interval, backward.paths) == (0.0, (0.0, 0.0), ())


def test_what_cannot_be_decomposed_is_refused() -> None:
    own = chosen({("a", "b"): 2.0}, "ab", [0, 0])
    data = dataset(own.drawn(np.random.default_rng(0), 50), "ab")
    model = fit_model(own.graph, data, draws=20)
    with pytest.raises(InvalidInput, match="on itself"):
        decomposed(model, "a", "a")
    with pytest.raises(InvalidInput, match="0 paths"):
        decomposed(model, "a", "b", most=0)
    assert isinstance(decomposed(fit_model(own.graph, data, draws=20, latents=["ab"]), "a", "b"), NotIdentified)
