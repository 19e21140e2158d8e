"""Adjustment among selected rows is exact for everybody wherever it is answered."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cogorch_dagster.causal.effects.identification.adjustment import Adjustment
from cogorch_dagster.causal.effects.identification.admg import Admg, bits
from cogorch_dagster.causal.effects.identification.selection import (
    adjustment_under_selection,
    spoiled_by,
    with_selection,
)
from tests.causal.effects.identification.exact import BinaryModel, Floats, random_admg, subsets

LAW = settings(max_examples=150, deadline=None)


def adjusted(joint: Floats, t: int, y: int, z: int) -> Floats:
    """sum_z P(y | t, z) P(z)."""
    table = joint.sum(axis=tuple(v for v in range(joint.ndim) if not (z | 1 << t | 1 << y) >> v & 1), keepdims=True)
    found = table / table.sum(axis=y, keepdims=True) * table.sum(axis=(t, y), keepdims=True)
    return found.sum(axis=tuple(bits(z)), keepdims=True)


@LAW
@given(st.integers(0, 2**32 - 1))
@example(824513656)
def test_answers_are_exact_and_a_refusal_leaves_no_set_that_would_do(seed: int) -> None:
    rng = np.random.default_rng(seed)
    graph = random_admg(rng, 5, 0.35, 0.1)
    t, y, s = (int(v) for v in rng.permutation(5)[:3])
    if not graph.descendants(1 << t) >> y & 1:
        t, y = y, t
    grown, kept = with_selection(graph, 1 << s)
    found = adjustment_under_selection(grown, kept, t, y)
    models = [BinaryModel.of(grown, rng) for _ in range(2)]
    selected = [each.joint().take([1], axis=5) for each in models]
    selected = [each / each.sum() for each in selected]
    truths = [each.intervened(1 << t, 1 << y) for each in models]

    def exact(z: int) -> bool:
        # Exact up to rounding: bias through weak dependence may be a millionth.
        pairs = [
            np.broadcast_arrays(adjusted(each, t, y, z), truth) for each, truth in zip(selected, truths, strict=True)
        ]
        return all(np.allclose(found, truth, rtol=1e-9, atol=1e-12) for found, truth in pairs)

    if found is not None:
        assert all(exact(z) for z in (found[0], *found[1]))
        return
    everything = graph.everything & ~(1 << t | 1 << y | graph.descendants(1 << t))
    assert not any(exact(z) for z in subsets(everything))


@pytest.mark.parametrize(
    ("arrows", "answer"),
    [
        # Kept by the treatment's own cause: nothing is spoiled.
        ("ty st", 0),
        # Kept by the outcome, by an effect of it, by an effect of both ends.
        ("ty ys", None),
        ("ty ts ys", None),
        # Kept by an effect of the treatment alone, and by a cause of the outcome.
        ("ty ts", 0),
        ("ty sy", None),
        # Kept by an effect of treatment and of its confounder: the confounder's shares are not those of everybody.
        ("zt zy ty ts zs", None),
    ],
)
def test_known_selections(arrows: str, answer: int | None) -> None:
    names = ("t", "y", "s", "z")
    directed = np.zeros((4, 4), dtype=bool)
    for a, b in arrows.split():
        directed[names.index(a), names.index(b)] = True
    graph, kept = with_selection(Admg.of(names, directed, directed & False), 0b100)
    found = adjustment_under_selection(graph, kept, 0, 1)
    assert (found[0] if found is not None else None) == answer


def test_the_spoiling_path_is_named() -> None:
    directed = np.zeros((3, 3), dtype=bool)
    directed[0, 1] = directed[1, 2] = True
    graph, kept = with_selection(Admg.of(("t", "y", "s"), directed, directed & False), 0b100)
    assert spoiled_by(graph, kept, 0, 1) == "y -> s -> kept by s"
    assert Adjustment.of(graph, 1, 2).valid(0)
