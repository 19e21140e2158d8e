import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Generator, Tensor

from cogorch_dagster.agents.learner import Transition
from cogorch_dagster.agents.replay import PRIORITY_EPSILON, Priorities, Replay
from cogorch_dagster.agents.sum_tree import SumTree
from cogorch_dagster.errors import InvalidInput

CPU = torch.device("cpu")


def step(
    values: list[float], rewards: list[float] | None = None, terminated: str = "", truncated: str = ""
) -> Transition:
    """A step of environments whose state is a number, and which lead to that number plus one."""
    states = torch.tensor(values)[:, None]
    size = len(values)
    return Transition(
        states,
        torch.arange(size) % 3,
        torch.tensor(rewards or [0.0] * size),
        states + 1,
        torch.tensor([row in terminated for row in "abcdefgh"[:size]]),
        torch.tensor([row in truncated for row in "abcdefgh"[:size]]),
    )


def replay(capacity: int = 8, *, seed: int = 0, **settings: object) -> Replay:
    generator = Generator().manual_seed(seed)
    return Replay(capacity=capacity, states=1, dimensions=1, discount=0.5, generator=generator, **settings)  # type: ignore[arg-type]


def held(memory: Replay) -> list[float]:
    return sorted(memory.rows[: len(memory), 0].tolist())


def row(memory: Replay, at: int) -> tuple[float, float, float, float]:
    """State, return, next state and discount of the row at that place."""
    values = memory.rows[at].tolist()
    return values[0], values[2], values[1], values[3]


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=300).filter(any), st.data())
@settings(max_examples=60, deadline=None)
def test_a_target_finds_where_the_running_sum_exceeds_it(values: list[int], data: st.DataObject) -> None:
    tree = SumTree(len(values), CPU)
    tree.set(torch.arange(len(values)), torch.tensor(values, dtype=torch.float64))
    changed = data.draw(st.lists(st.integers(0, len(values) - 1), max_size=5, unique=True))
    for at in changed:
        values[at] += 1
    tree.set(
        torch.tensor(changed, dtype=torch.int64), torch.tensor([values[at] for at in changed], dtype=torch.float64)
    )
    assert tree.total.item() == sum(values)
    targets = data.draw(st.lists(st.integers(0, sum(values) - 1), min_size=1, max_size=20))
    found = tree.find(torch.tensor(targets, dtype=torch.float64))
    assert found.tolist() == np.searchsorted(np.cumsum(values), targets, side="right").tolist()


@given(st.integers(1, 5000), st.data())
@settings(max_examples=40, deadline=None)
def test_a_range_is_summed_as_its_members_one_by_one(leaves: int, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, leaves - 1))
    stop = data.draw(st.integers(start + 1, leaves))
    one, other = SumTree(leaves, CPU), SumTree(leaves, CPU)
    for tree in (one, other):
        tree.set(torch.arange(leaves), torch.ones(leaves, dtype=torch.float64))
    one.set_range(start, stop, torch.tensor(3.0, dtype=torch.float64))
    other.set(torch.arange(start, stop), torch.full((stop - start,), 3.0, dtype=torch.float64))
    assert all(torch.equal(a, b) for a, b in zip(one.levels, other.levels, strict=True))
    assert one.total.item() == leaves + 2 * (stop - start)


def test_a_target_that_rounding_pushed_to_the_end_finds_no_empty_leaf() -> None:
    tree = SumTree(200, CPU)
    tree.set(torch.tensor([3, 70, 71]), torch.tensor([0.1, 0.2, 0.3], dtype=torch.float64))
    assert tree.find(tree.total.repeat(2) * torch.tensor([1.0, 1 + 1e-12])).tolist() == [71, 71]


@given(
    st.lists(st.floats(0, 5), min_size=2, max_size=12), st.sampled_from([0.0, 0.6, 1.0]), st.sampled_from([0.4, 1.0])
)
@settings(max_examples=25, deadline=None)
def test_draws_follow_the_priorities_and_weights_undo_them(errors: list[float], alpha: float, beta: float) -> None:
    memory = replay(16, priorities=Priorities(alpha=alpha, beta=beta, beta_steps=10**9))
    for at in range(len(errors)):
        memory.add(step([float(at)]))
    memory.sample(1)
    memory.prioritise(torch.arange(len(errors)), torch.tensor(errors))
    drawn = memory.sample(20_000)
    wanted = (np.array(errors, dtype=np.float32).astype(float) + PRIORITY_EPSILON) ** alpha
    shares = wanted / wanted.sum()
    # Stratified: each of the 20,000 parts of the sum gives one draw, so that at most the two at its ends are off.
    counts = np.bincount(drawn.indices.view(-1).numpy(), minlength=len(errors))
    assert np.abs(counts - 20_000 * shares).max() <= 2
    exact = (len(errors) * shares) ** -memory.priorities.beta_after(len(errors))  # type: ignore[union-attr]
    found = drawn.indices.view(-1).numpy()
    assert drawn.weights is not None
    np.testing.assert_allclose(drawn.weights.view(-1).numpy(), exact[found] / exact[found].max(), rtol=1e-5)


def test_several_batches_are_each_drawn_from_all_of_the_sum() -> None:
    memory = replay(64, priorities=Priorities())
    memory.add(step([0.0] * 8))
    drawn = memory.sample(8, 5)
    assert drawn.states.shape == (5, 8, 1)
    assert all(sorted(batch) == list(range(8)) for batch in drawn.indices.tolist())


def test_a_new_row_is_as_likely_as_the_most_surprising_one() -> None:
    memory = replay(8, priorities=Priorities(alpha=1.0))
    memory.add(step([0.0, 1.0]))
    memory.sample(2)
    memory.prioritise(torch.tensor([0, 1]), torch.tensor([9.0, 0.5]))
    memory.add(step([2.0, 3.0]))
    memory.sample(2)
    assert memory.tree.values(torch.arange(4)).tolist() == pytest.approx([9.001, 0.501, 9.001, 9.001])


def test_the_correction_grows_to_all_of_the_bias() -> None:
    priorities = Priorities(beta=0.4, beta_steps=100)
    assert [priorities.beta_after(n) for n in (0, 50, 100, 1000)] == pytest.approx([0.4, 0.7, 1.0, 1.0])


def test_uniform_draws_are_uniform() -> None:
    memory = replay(8)
    memory.add(step([0.0, 1.0, 2.0, 3.0, 4.0]))
    drawn = memory.sample(1000, 20)
    counts = np.bincount(drawn.indices.view(-1).numpy(), minlength=5)
    # 20,000 draws at 1/5: a standard deviation of 57.
    assert np.abs(counts - 4000).max() < 5 * 57
    assert drawn.weights is None


@pytest.mark.parametrize("size", [1, 3, 4, 7])
def test_the_oldest_rows_make_room(size: int) -> None:
    memory = replay(10, priorities=Priorities())
    for at in range(9):
        memory.add(step([float(at * size + row) for row in range(size)]))
        if at % 2:
            memory.sample(4)
    end = 9 * size
    assert held(memory) == [float(value) for value in range(max(0, end - 10), end)]
    memory.sample(4)
    assert memory.tree.total.item() == pytest.approx(len(memory))


def test_rows_are_forgotten_at_the_age_that_was_set() -> None:
    memory = replay(100, max_age=3)
    for at in range(7):
        memory.add(step([float(at), float(at) + 0.5]))
    assert held(memory) == [4.0, 4.5, 5.0, 5.5, 6.0, 6.5]


def test_one_step_leads_to_the_next_state_unless_it_terminates() -> None:
    memory = replay()
    memory.add(step([0.0, 10.0, 20.0], [1.0, 2.0, 3.0], terminated="b", truncated="c"))
    assert [row(memory, at) for at in range(3)] == [(0, 1, 1, 0.5), (10, 2, 11, 0), (20, 3, 21, 0.5)]


def test_returns_of_three_steps_end_with_the_episode() -> None:
    memory = replay(steps=3)
    memory.add(step([0.0, 10.0, 20.0, 30.0], [1.0] * 4))
    memory.add(step([1.0, 11.0, 21.0, 31.0], [2.0] * 4, terminated="b", truncated="c"))
    assert len(memory) == 0
    memory.add(step([2.0, 50.0, 60.0, 32.0], [4.0] * 4, truncated="d"))
    # gamma is 1/2: 1 + 2/2 + 4/4 and gamma^3; cut after two steps, to 0 or gamma^2 from the final observation.
    assert [row(memory, at) for at in range(4)] == [
        (0, 3, 3, 0.125),
        (10, 2, 12, 0),
        (20, 2, 22, 0.25),
        (30, 3, 33, 0.125),
    ]
    memory.add(step([3.0, 51.0, 61.0, 70.0], [8.0] * 4))
    # The second step's: those that ended there have one reward; the next episode's is not theirs.
    assert [row(memory, at) for at in range(4, 8)] == [
        (1, 6, 4, 0.125),
        (11, 2, 12, 0),
        (21, 2, 22, 0.5),
        (31, 4, 33, 0.25),
    ]


@given(
    st.lists(st.tuples(st.floats(-3, 3, width=32), st.sampled_from(["", "t", "u"])), min_size=3, max_size=30),
    st.integers(1, 5),
)
@settings(max_examples=60, deadline=None)
def test_returns_are_what_a_loop_over_the_steps_gives(story: list[tuple[float, str]], steps: int) -> None:
    memory = replay(64, steps=steps)
    for at, (reward, end) in enumerate(story):
        memory.add(step([float(at)], [reward], "a" if end == "t" else "", "a" if end == "u" else ""))
    assert len(memory) == max(0, len(story) - steps + 1)
    for at in range(len(memory)):
        total, factor, last = 0.0, 1.0, at
        for last in range(at, at + steps):
            total += factor * story[last][0]
            factor *= 0.5
            if story[last][1]:
                break
        assert row(memory, at) == pytest.approx(
            (at, total, last + 1, 0.0 if story[last][1] == "t" else factor), abs=1e-5
        )


def test_what_the_caller_does_to_its_arrays_afterwards_changes_no_row() -> None:
    memory = replay(steps=2)
    for at in range(2):
        given_step = step([float(at)])
        memory.add(given_step)
        given_step.states.fill_(99.0)
    assert held(memory) == [0.0]


@pytest.mark.parametrize("priorities", [None, Priorities()])
def test_a_restored_replay_goes_on_as_the_saved_one(priorities: Priorities | None) -> None:
    def go_on(memory: Replay, start: int) -> list[Tensor]:
        found = []
        for at in range(start, start + 6):
            memory.add(step([float(at), float(-at)], [0.1 * at, 0.2], terminated="a" if at % 3 == 0 else ""))
            drawn = memory.sample(4, 2)
            memory.prioritise(drawn.indices, drawn.states[..., 0])
            found += [drawn.indices, drawn.returns]
        return [*found, memory.rows.clone(), *(level.clone() for level in memory.tree.levels)]

    memory = replay(70, steps=3, priorities=priorities)
    for at in range(50):
        memory.add(step([float(at), 0.5]))
    go_on(memory, 50)
    saved, state = memory.parts(), memory.generator.get_state()
    wanted = go_on(memory, 56)
    other = replay(70, seed=9, steps=3, priorities=priorities)
    other.restore(saved)
    other.generator.set_state(state)
    assert all(torch.equal(a, b) for a, b in zip(wanted, go_on(other, 56), strict=True))


def test_a_replay_of_other_settings_is_refused() -> None:
    memory = replay(steps=2)
    for at in range(5):
        memory.add(step([float(at)]))
    saved = memory.parts()
    with pytest.raises(InvalidInput, match="rows"):
        Replay(capacity=8, states=2, dimensions=1, discount=0.5, generator=Generator()).restore(saved)
    with pytest.raises(InvalidInput, match="part '0' of the saved agent is"):
        replay(100, priorities=Priorities()).restore(saved)
    del saved["window"]
    with pytest.raises(InvalidInput, match="window"):
        replay().restore(saved)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"capacity": 0}, "capacity .* 1 to"),
        ({"steps": 101}, "steps .* 100, got 101"),
        ({"max_age": 0}, "max_age .* got 0"),
    ],
)
def test_settings_out_of_range_are_refused(settings: dict[str, int], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        replay(**settings)


def test_priorities_out_of_range_are_refused() -> None:
    with pytest.raises(InvalidInput, match=r"alpha must lie from 0 to 1, got 1\.5"):
        Priorities(alpha=1.5)
    with pytest.raises(InvalidInput, match=r"beta .* got nan"):
        Priorities(beta=float("nan"))


def test_what_does_not_fit_is_refused() -> None:
    memory = replay(4)
    with pytest.raises(InvalidInput, match="empty"):
        memory.sample(1)
    with pytest.raises(InvalidInput, match="capacity 4 is below one step of 5"):
        memory.add(step([0.0] * 5))
    memory.add(step([0.0, 1.0]))
    with pytest.raises(InvalidInput, match="2, 1"):
        memory.add(step([0.0, 1.0, 2.0]))
