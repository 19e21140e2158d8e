"""The fit of a `RewardModel`: one least-squares problem whose sums grow row by row, solved for several penalties.

Means are drawn towards coarser ones (label within arm, arm within attempt) with the pseudo-decisions of
`outcome_model.SHRINKAGE`, slopes towards 0 by a penalty to be chosen, those of a single arm towards those of all.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from cogorch_dagster.evaluation.outcome_model import SHRINKAGE
from cogorch_dagster.evaluation.patterns import Floats, Ints
from cogorch_dagster.evaluation.reward_model import Basis, RewardModel, basis_of, joined_names

PENALTIES = (3.0, 30.0, 300.0, float("inf"))
"""Pseudo-decisions on each slope; with the last there are none."""
MOST_INTERACTIONS = 400
"""Slopes are told apart by arm up to this many columns, means by label within arm up to twice as many."""
_CHUNK = 20_000
_FREE = 1e-3


@dataclass(frozen=True, eq=False)
class Draws:
    """n draws, all (n,): number of the arm, label and attempt, the reward of the whole decision, its weight.

    `features` is (n, F).
    """

    arm: Ints
    label: Ints
    attempt: Ints
    reward: Floats
    weight: Floats
    features: Floats

    def rows(self, which: slice | Ints) -> "Draws":
        return Draws(*(getattr(self, name)[which] for name in Draws.__dataclass_fields__))


@dataclass(eq=False)
class Accumulated:
    """X'X and X'y of the draws so far; X: attempts, arms, labels within arms, basis, basis within arms."""

    basis: Basis
    arms: int
    labels: int
    attempts: int
    rows: int = 0
    gram: Floats = field(init=False)
    moment: Floats = field(init=False)

    def __post_init__(self) -> None:
        width = self.basis.width
        self.by_label = self.labels * self.arms * self.attempts <= 2 * MOST_INTERACTIONS
        self.by_arm = self.arms * width <= MOST_INTERACTIONS
        sizes = [
            self.attempts,
            self.attempts * self.arms,
            self.labels * self.attempts * self.arms if self.by_label else self.labels,
            width,
            self.arms * width if self.by_arm else 0,
        ]
        self.ends = np.cumsum(sizes)
        self.gram, self.moment = np.zeros((self.ends[-1],) * 2), np.zeros(self.ends[-1])

    def mean_columns(self) -> Floats:
        """(X, K, M) weighted mean of the basis over first attempts of each label and arm, drawn towards that of all."""
        columns = slice(int(self.ends[2]), int(self.ends[3]))
        centre = self.gram[0, columns] / max(float(self.gram[0, 0]), 1e-300)
        if not self.by_label:
            return np.broadcast_to(centre, (self.labels, self.arms, len(centre)))
        cells = self.ends[1] + np.arange(self.labels)[:, None] * self.attempts * self.arms + np.arange(self.arms)
        mass = self.gram[cells, cells][:, :, None]
        return np.asarray((self.gram[cells][:, :, columns] + SHRINKAGE * centre) / (mass + SHRINKAGE))

    def add(self, draws: Draws) -> None:
        for begin in range(0, len(draws.arm), _CHUNK):
            part = draws.rows(slice(begin, begin + _CHUNK))
            design = self._design(part)
            weighted = design * part.weight[:, None]
            self.gram += weighted.T @ design
            self.moment += weighted.T @ part.reward
        self.rows += len(draws.arm)

    def solve(
        self,
        penalty: float,
        names: Sequence[str],
        arms: Sequence[str],
        labels: Sequence[str],
        shrinkage: float = SHRINKAGE,
    ) -> RewardModel:
        """The model under one penalty on the slopes.

        Args:
            shrinkage: pseudo-decisions on the means; next to none leaves to the slopes only what means cannot say.
        """
        held = int(self.ends[2]) if np.isinf(penalty) else int(self.ends[-1])
        ridge = np.full(int(self.ends[-1]), penalty)
        ridge[: self.ends[2]] = shrinkage
        ridge[: self.ends[0]] = _FREE
        found = np.zeros(int(self.ends[-1]))
        found[:held] = np.linalg.solve(self.gram[:held, :held] + np.diag(ridge[:held]), self.moment[:held])
        first, by_arm, by_label, slopes, apart = np.split(found, self.ends[:-1])
        anywhere = first[:, None] + by_arm.reshape(self.attempts, self.arms)
        shape = (self.labels, self.attempts, self.arms)
        extra = by_label.reshape(shape) if self.by_label else np.broadcast_to(by_label[:, None, None], shape)
        of_arm = apart.reshape(self.arms, -1) if self.by_arm else np.zeros((self.arms, self.basis.width))
        return RewardModel(
            arms=tuple(arms),
            labels=tuple(labels),
            features=tuple(names),
            basis=self.basis,
            anywhere=anywhere,
            means=anywhere + extra,
            slopes=slopes + of_arm,
            penalty=penalty,
            rows=self.rows,
        )

    def _design(self, draws: Draws) -> Floats:
        n, row = len(draws.arm), np.arange(len(draws.arm))
        out = np.zeros((n, int(self.ends[-1])))
        cell = draws.attempt * self.arms + draws.arm
        out[row, draws.attempt] = 1.0
        out[row, self.ends[0] + cell] = 1.0
        within = draws.label * self.attempts * self.arms + cell if self.by_label else draws.label
        out[row, self.ends[1] + within] = 1.0
        columns = self.basis.columns(draws.features) * (draws.attempt == 0)[:, None]
        out[:, self.ends[2] : self.ends[3]] = columns
        if self.by_arm and self.basis.width:
            place = self.ends[3] + draws.arm[:, None] * self.basis.width + np.arange(self.basis.width)
            out[row[:, None], place] = columns
        return out


def squared_error(model: RewardModel, draws: Draws) -> float:
    """Weighted sum of squared errors of the arm that was drawn."""
    return float(draws.weight @ (draws.reward - of_drawn(model, draws)) ** 2)


def of_drawn(model: RewardModel, draws: Draws) -> Floats:
    """(n,) reward to expect of each draw."""
    out = np.empty(len(draws.arm))
    for attempt in range(len(model.anywhere)):
        here = np.flatnonzero(draws.attempt == attempt)
        expected = model.expected(draws.features[here], draws.label[here], attempt)
        out[here] = expected[np.arange(len(here)), draws.arm[here]]
    return out


def fit(
    draws: Draws, arms: Sequence[str], labels: Sequence[str], names: Sequence[str] = (), *, attempts: int = 1
) -> RewardModel:
    """One model of all the draws, in the order of time; its penalty is the one that predicts the later half best.

    Args:
        names: of the features; numbered where none are given.

    Raises:
        InvalidInput: another number of names than of features.
    """
    named = joined_names(names, draws.features.shape[1])
    half = len(draws.arm) // 2
    basis = basis_of(draws.features)
    sums = Accumulated(basis, len(arms), len(labels), attempts)
    sums.add(draws.rows(slice(0, half)))
    later = draws.rows(slice(half, None))
    errors = [squared_error(sums.solve(penalty, named, arms, labels), later) for penalty in PENALTIES]
    sums.add(later)
    return sums.solve(PENALTIES[int(np.argmin(errors))], named, arms, labels)
