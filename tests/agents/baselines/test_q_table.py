"""The table's update by hand and against one step after the other, and what it learns of a known process."""

from itertools import permutations

import numpy as np
import pytest

from cogorch_dagster.agents.baselines.q_table import chosen, targets, updated


def test_an_update_by_hand() -> None:
    table = np.array([[1.0, 2.0], [3.0, 5.0]])
    rows, actions = np.array([0]), np.array([1])
    aims = targets(table, np.array([0.5]), np.array([1]), np.array([False]), discount=0.95)
    assert aims.tolist() == [0.5 + 0.95 * 5]
    after = updated(table, rows, actions, aims, rate=0.1)
    np.testing.assert_allclose(after, [[1.0, 2 + 0.1 * (0.5 + 0.95 * 5 - 2)], [3.0, 5.0]])
    assert table[0, 1] == 2


def test_what_is_over_is_worth_no_more() -> None:
    table = np.array([[7.0, 8.0]])
    aims = targets(table, np.array([1.0, 1.0]), np.array([0, 0]), np.array([True, False]), discount=0.5)
    assert aims.tolist() == [1.0, 5.0]


def test_updates_at_once_are_the_mean_over_all_orders() -> None:
    aims, rate, before = np.array([1.0, -2.0, 5.0, 0.5]), 0.3, 4.0
    ends = []
    for order in permutations(aims):
        value = before
        for aim in order:
            value += rate * (aim - value)
        ends.append(value)
    table = np.array([[0.0, before]])
    after = updated(table, np.zeros(4, dtype=np.int64), np.ones(4, dtype=np.int64), aims, rate=rate)
    np.testing.assert_allclose(after, [[0.0, np.mean(ends)]])


def test_it_chooses_at_random_as_often_as_it_should() -> None:
    table = np.array([[0.0, 1, 0, 0, 0], [0, 0, 0, 0, 2]])
    rows = np.repeat([0, 1], 10_000)
    taken = chosen(table, rows, 0.2, np.random.default_rng(0))
    best = np.where(rows == 0, 1, 4)
    # A random action is the best one in one of five cases.
    assert np.mean(taken == best) == pytest.approx(0.8 + 0.2 / 5, abs=0.01)
    assert set(taken[:10_000]) == set(range(5))
    assert (chosen(table, rows, 0.0, np.random.default_rng(0)) == best).all()


def test_it_learns_the_values_of_a_known_process() -> None:
    """A chain of four rooms: forward or back, 1 for stepping beyond the last, which leads to the first."""
    rooms, discount = 4, 0.9
    transitions = {(room, 1): ((room + 1) % rooms, float(room == rooms - 1)) for room in range(rooms)}
    transitions |= {(room, 0): (max(room - 1, 0), 0.0) for room in range(rooms)}
    exact = np.zeros((rooms, 2))
    for _ in range(500):
        exact = np.array(
            [
                [transitions[room, a][1] + discount * exact[transitions[room, a][0]].max() for a in (0, 1)]
                for room in range(rooms)
            ]
        )
    generator, table = np.random.default_rng(1), np.zeros((rooms, 2))
    at = generator.integers(0, rooms, 16)
    following = np.array([[transitions[room, a] for a in (0, 1)] for room in range(rooms)])
    for _ in range(3000):
        actions = chosen(table, at, 0.3, generator)
        after, rewards = following[at, actions, 0].astype(np.int64), following[at, actions, 1]
        aims = targets(table, rewards, after, np.zeros(16, dtype=np.bool_), discount=discount)
        table = updated(table, at, actions, aims, rate=0.1)
        at = after
    np.testing.assert_allclose(table, exact, atol=0.02)
    assert (table.argmax(axis=1) == 1).all()
