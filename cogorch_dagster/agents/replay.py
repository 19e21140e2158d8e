"""What an agent remembers: the latest transitions of B environments, drawn uniformly or by priority.

A row holds the return of up to n steps, where they led, and what the value there counts for:

    return = sum over k < m of gamma^k r_k,   discount = gamma^m, or 0 where the episode terminated

with m = n, or fewer where an episode ended within. So the target of a value is always
`return + discount * value(next)`, and a truncated episode is bootstrapped from its final observation. Returns of
several steps are not corrected for actions that the current policy would no longer take; keep n small.

n and gamma may change while rows are there: each row says by its discount what its return is to be completed with, and
gamma is in it as it was when each of its steps was taken in. So old rows stay true to the old horizon until they make
room. Another alpha counts for the priorities that are set from then on; whatever the mixture, the weights correct for
the probabilities P(i) that rows were really drawn with.

Priorities: Schaul, Quan, Antonoglou, Silver, Prioritized Experience Replay, ICLR 2016, proportional variant:

    P(i) = p_i^alpha / sum p^alpha,   p_i = |TD error| + epsilon,   w_i = (N P(i))^-beta, over the largest of the batch

A new row gets the largest priority seen so far, so that it is drawn soon. Draws are stratified: one from each of k
equal parts of the sum.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator, Tensor

from cogorch_dagster.agents.checks import copy_into, number, part, whole
from cogorch_dagster.agents.learner import Transition
from cogorch_dagster.agents.sum_tree import SumTree
from cogorch_dagster.errors import InvalidInput

PRIORITY_EPSILON = 1e-3


@dataclass(frozen=True)
class Priorities:
    """Settings of prioritised replay. The correction by importance weights grows from `beta` to 1."""

    alpha: float = 0.6  # 0..1: how much the TD error counts; 0 draws uniformly
    beta: float = 0.4  # 0..1: how much of the bias is corrected at the start
    beta_steps: int = 100_000  # transitions until all of it is

    def __post_init__(self) -> None:
        number("alpha", self.alpha, 0, 1)
        number("beta", self.beta, 0, 1)
        whole("beta_steps", self.beta_steps, 1, 10**12)

    def beta_after(self, transitions: int) -> float:
        """The exponent of the importance weights after that many transitions."""
        return self.beta + (1 - self.beta) * min(1.0, transitions / self.beta_steps)


@dataclass(frozen=True)
class Memory:
    """Drawn rows, [..., k]: the same leading dimensions throughout."""

    states: Tensor  # float32 [..., k, states]
    actions: Tensor  # float32 [..., k, dimensions]; an index as a number for discrete actions
    returns: Tensor  # float32 [..., k]
    next_states: Tensor  # float32 [..., k, states]
    discounts: Tensor  # float32 [..., k], 0..1
    weights: Tensor | None  # float32 [..., k], 0..1; none where the draw was uniform
    indices: Tensor  # int64 [..., k], for `prioritise`


class Replay:
    """A ring of rows in the order of time, on the generator's device. Not more than one thread may use it.

    `dimensions` is 1 for discrete actions. The oldest rows make room when there are `capacity` rows, or when they are
    `max_age` calls of `add` old: what was seen while the other agents behaved differently misleads.

    Raises:
        InvalidInput: a setting is out of its range.
    """

    def __init__(
        self,
        *,
        capacity: int,
        states: int,
        dimensions: int,
        discount: float,
        generator: Generator,
        steps: int = 1,
        max_age: int | None = None,
        priorities: Priorities | None = None,
    ) -> None:
        whole("capacity", capacity, 1, 10**9)
        whole("states", states, 1, 65_536)
        whole("dimensions", dimensions, 1, 65_536)
        _require_terms(discount, steps)
        if max_age is not None:
            whole("max_age", max_age, 1, 10**9)
        self.capacity, self.states, self.dimensions = capacity, states, dimensions
        self.discount, self.steps, self.max_age, self.priorities = discount, steps, max_age, priorities
        self.generator = generator
        self.environments = 0  # known from the first transition on
        self.added = 0  # rows ever added
        self.seen = 0  # transitions ever taken in
        self._forget()

    def _forget(self) -> None:
        device = self.generator.device
        self.rows = torch.zeros(0, 2 * self.states + 2 + self.dimensions, device=device)
        self.window: list[tuple[Tensor, Tensor]] = []  # rows of one step and where it ended an episode, not yet added
        self.tree = SumTree(1, device)
        self.listed = 0  # rows that the tree knows, of those added
        self.largest = torch.ones((), dtype=torch.float64, device=device)  # of the p^alpha seen so far

    def _allot(self, environments: int) -> None:
        """Make room once the number of environments is known."""
        length = self.capacity if self.max_age is None else min(self.capacity, self.max_age * environments)
        if length < environments:
            raise InvalidInput(f"capacity {self.capacity} is below one step of {environments} environments; raise it")
        self.environments = environments
        self.rows = torch.zeros(length, self.rows.shape[1], device=self.rows.device)
        self.tree = SumTree(length if self.priorities else 1, self.rows.device)

    def adopted(self, *, discount: float, steps: int, priorities: Priorities | None) -> dict[str, Any]:
        """The attributes that these settings change, for `adoption.swap`; rows, window and sums stay as they are.

        A window that is longer than `steps` by then is joined with the next call of `add`, so no row is lost.

        Raises:
            InvalidInput: a setting is out of its range, or priorities are to begin or to end.
        """
        _require_terms(discount, steps)
        if (priorities is None) != (self.priorities is None):
            raise InvalidInput(
                f"priorities are {self.priorities} and cannot become {priorities} in a learner that is in training: "
                "that takes effect with the next training"
            )
        return {"discount": discount, "steps": steps, "priorities": priorities}

    def __len__(self) -> int:
        """Rows that can be drawn."""
        return min(self.added, len(self.rows))

    def add(self, transition: Transition) -> None:
        """Take in one step of B environments, in an order of time that is the same for all calls.

        Raises:
            InvalidInput: B differs from the first call, or a shape from the settings.
        """
        size = len(transition.rewards)
        if not self.environments:
            self._allot(size)
        if size != self.environments or transition.states.shape != (size, self.states):
            raise InvalidInput(
                f"a step must hold states [{self.environments}, {self.states}], "
                f"got {list(transition.states.shape)}; use one replay for one set of environments"
            )
        self.seen += size
        actions = transition.actions.view(size, self.dimensions)
        discounts = self.discount * ~transition.terminated
        columns = transition.states, transition.next_states, transition.rewards[:, None], discounts[:, None], actions
        self.window.append((torch.cat(columns, 1), transition.terminated | transition.truncated))
        while len(self.window) >= self.steps:
            self._append(self._joined())
            del self.window[0]

    def _joined(self) -> Tensor:
        """Rows [B, width] of the oldest step in the window, with up to `steps` - 1 that followed in its episode."""
        n = self.states
        window = self.window[: self.steps]
        later = window[-1][0]
        for step, ended in reversed(window[:-1]):
            discount = step[:, 2 * n + 1]
            joined = torch.where(ended[:, None], step, later)
            joined[:, :n] = step[:, :n]
            joined[:, 2 * n] = step[:, 2 * n] + discount * later[:, 2 * n].where(~ended, 0.0)
            joined[:, 2 * n + 1] = discount.where(ended, discount * later[:, 2 * n + 1])
            joined[:, 2 * n + 2 :] = step[:, 2 * n + 2 :]
            later = joined
        return later

    def _append(self, rows: Tensor) -> None:
        start, length = self.added % len(self.rows), len(self.rows)
        fits = min(len(rows), length - start)
        self.rows[start : start + fits] = rows[:fits]
        if fits < len(rows):
            self.rows[: len(rows) - fits] = rows[fits:]
        self.added += len(rows)

    def sample(self, size: int, batches: int = 1) -> Memory:
        """Draw `batches` batches of `size` rows at once, [batches, size], with replacement.

        Priorities are those of the moment, for all batches.

        Raises:
            InvalidInput: nothing was added yet.
        """
        if not len(self):
            raise InvalidInput("the replay is empty; add transitions before drawing from it")
        if self.priorities is None:
            indices = torch.randint(len(self), (batches, size), generator=self.generator, device=self.rows.device)
            weights = None
        else:
            indices, weights = self._by_priority(size, batches, self.priorities.beta_after(self.seen))
        rows = self.rows.index_select(0, indices.view(-1)).view(batches, size, -1)
        n = self.states
        return Memory(
            states=rows[..., :n],
            next_states=rows[..., n : 2 * n],
            returns=rows[..., 2 * n],
            discounts=rows[..., 2 * n + 1],
            actions=rows[..., 2 * n + 2 :],
            weights=weights,
            indices=indices,
        )

    def _by_priority(self, size: int, batches: int, beta: float) -> tuple[Tensor, Tensor]:
        self._list_new()
        total = self.tree.total
        device = self.rows.device
        parts = torch.rand(batches, size, dtype=torch.float64, generator=self.generator, device=device)
        targets = (parts + torch.arange(size, device=device)) * (total / size)
        found = self.tree.find(targets.view(-1))
        weights = (self.tree.values(found) * (len(self) / total)).pow_(-beta).view(batches, size)
        return found.view(batches, size), (weights / weights.amax(1, keepdim=True)).float()

    def _list_new(self) -> None:
        """Tell the tree of the rows that came since it was last asked: once for many calls of `add`."""
        length = len(self.rows)
        new = min(self.added - self.listed, length)
        start = (self.added - new) % length
        if new:
            self.tree.set_range(start, min(start + new, length), self.largest)
        if start + new > length:
            self.tree.set_range(0, start + new - length, self.largest)
        self.listed = self.added

    def prioritise(self, indices: Tensor, errors: Tensor) -> None:
        """Give the rows int64 [...] drawn last the priorities of their TD errors, float32 [...]; nothing if uniform."""
        if self.priorities is None:
            return
        values = (errors.abs().double().view(-1) + PRIORITY_EPSILON).pow_(self.priorities.alpha)
        self.tree.set(indices.view(-1), values)
        self.largest = torch.maximum(self.largest, values.max())

    def parts(self) -> dict[str, Any]:
        """All that resuming needs but the random state, which is the generator's owner's."""
        window = {
            str(at): {"rows": rows.clone(), "ended": ended.clone()} for at, (rows, ended) in enumerate(self.window)
        }
        return {
            "environments": self.environments,
            "added": self.added,
            "seen": self.seen,
            "listed": self.listed,
            "largest": self.largest.clone(),
            "rows": self.rows[: len(self)].clone(),
            "sums": {str(at): level.clone() for at, level in enumerate(self.tree.levels)},
            "window": window,
        }

    def restore(self, parts: Mapping[str, Any]) -> None:
        """Take in what `parts` gave.

        Raises:
            InvalidInput: a part is missing, or does not fit the settings.
        """
        counts = {name: part(parts, name) for name in ("environments", "added", "seen", "listed")}
        for name, value in counts.items():
            whole(f"part {name!r} of the saved replay", value, 0, 2**62)
        self._forget()
        self.environments, self.added = counts["environments"], counts["added"]
        self.seen, self.listed = counts["seen"], counts["listed"]
        if self.environments:
            self._allot(self.environments)
        copy_into(self.rows[: len(self)], parts, "rows")
        copy_into(self.largest, parts, "largest")
        for at, level in enumerate(self.tree.levels):
            copy_into(level, part(parts, "sums"), str(at))
        for _, step in sorted(part(parts, "window").items(), key=lambda item: int(item[0])):
            rows = self.rows.new_zeros(self.environments, self.rows.shape[1])
            ended = rows.new_zeros(self.environments, dtype=torch.bool)
            copy_into(rows, step, "rows")
            copy_into(ended, step, "ended")
            self.window.append((rows, ended))


def _require_terms(discount: float, steps: int) -> None:
    whole("steps", steps, 1, 100)
    number("discount", discount, 0, 1)
