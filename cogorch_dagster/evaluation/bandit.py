"""Logged decisions row by row: one draw each, with its propensity and reward, against any target policy.

A router's attempts are grouped where they are read (`patterns`); this is the form for everything else that logs one
draw per decision, and for targets that depend on more than the tenant. It builds `Patterns` in which every decision is
its own pattern, so that each estimator exists once.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.evaluation.forward import forward_fitted
from cogorch_dagster.evaluation.importance import Importance, importance, of_probability
from cogorch_dagster.evaluation.outcome_model import OutcomeModel
from cogorch_dagster.evaluation.patterns import Floats, Ints, Patterns, Slicing, States, Sums, combine

FOLDS = 5
_SUM_TOLERANCE = 1e-6


@dataclass(frozen=True, eq=False)
class LoggedBandit:
    """n decisions over K arms.

    Attributes:
        action: (n,) arm drawn, 0 to K - 1.
        propensity: (n,) logged probability of that draw. Values outside (0, 1] make the evaluation a refusal.
        reward: (n,) finite, in any unit.
        arms: names of the K arms.
        sample_weight: (n,) inverse of the probability with which the decision was kept, above 0; None: all were.
        slices: label of each decision by the name of the slicing, such as {"tenant": (n,), "task": (n,)}. Every
            combination of labels is modelled on its own by the estimators that expect rewards.
        seed: of the draw that puts decisions into cross-fitting folds.
        features: (n, F) of each decision, known before it; NaN where unknown. The estimators that expect rewards then
            learn them from these too, each block of rows from those before it (`forward`): rows must be in the order
            of time.

    Raises:
        InvalidInput: columns of different length, an action that is no arm, a reward that is not finite.
    """

    action: Ints
    propensity: Floats
    reward: Floats
    arms: tuple[str, ...]
    sample_weight: Floats | None = None
    slices: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)
    seed: int = 0
    features: Floats | None = None

    def __post_init__(self) -> None:
        n = len(self.action)
        columns = {"propensity": self.propensity, "reward": self.reward, **self.slices}
        if self.sample_weight is not None:
            columns["sample_weight"] = self.sample_weight
        for name, column in columns.items():
            if np.shape(column) != (n,):
                raise InvalidInput(f"{name} has shape {np.shape(column)}, action has ({n},); give one value per row")
        _require(self.reward, np.isfinite(self.reward), "reward", "must be finite")
        if self.sample_weight is not None:
            usable = (self.sample_weight > 0) & np.isfinite(self.sample_weight)
            _require(self.sample_weight, usable, "sample_weight", "must be above 0 and finite")
        if self.features is not None and (self.features.ndim != 2 or len(self.features) != n):
            raise InvalidInput(
                f"features has shape {self.features.shape}, action has ({n},); give one row per decision"
            )
        if not np.issubdtype(self.action.dtype, np.integer):
            raise InvalidInput(f"action is of type {self.action.dtype}; give the number of the arm as an integer")
        known = (self.action >= 0) & (self.action < len(self.arms))
        _require(self.action, known, "action", f"must be 0 to {len(self.arms) - 1}")

    def __len__(self) -> int:
        return len(self.action)

    @property
    def impossible_propensities(self) -> int:
        """How many propensities are outside (0, 1] or not a number."""
        return int(len(self) - np.count_nonzero((self.propensity > 0) & (self.propensity <= 1)))

    def against(self, *targets: Floats) -> tuple[Patterns, list[Importance]]:
        """The log and how likely each target makes it.

        Args:
            targets: (K,) probabilities that hold for every decision, or (n, K) of each decision.

        Raises:
            InvalidInput: a target of another shape, a negative probability, or a row that does not sum to 1.
        """
        checked = [self._checked(np.asarray(target, dtype=np.float64)) for target in targets]
        if self.features is None and all(target.ndim == 1 for target in checked):
            return self._shared, [importance(self._shared, target[None]) for target in checked]
        rows = self._by_row
        shape = (len(self), len(self.arms))
        return rows, [of_probability(rows, np.broadcast_to(target, shape)[None]) for target in checked]

    @cached_property
    def reward_model(self) -> OutcomeModel | None:
        """The rewards to expect by the features, for the patterns of `against`; None where there are no features."""
        if self.features is None:
            return None
        return forward_fitted(self._by_row, self.features, np.arange(len(self)))

    def _checked(self, target: Floats) -> Floats:
        if target.shape not in {(len(self.arms),), (len(self), len(self.arms))}:
            raise InvalidInput(
                f"a target of shape {target.shape} fits neither ({len(self.arms)},) nor ({len(self)}, {len(self.arms)})"
            )
        total = target.sum(axis=-1)
        if not (target >= 0).all() or not (np.abs(total - 1.0) <= _SUM_TOLERANCE).all():
            raise InvalidInput("a target's probabilities must be at least 0 and sum to 1 (within 1e-6) in every row")
        return target

    @cached_property
    def _shared(self) -> Patterns:
        """States that hold for many rows: one for each fold and combination of labels."""
        contexts, context, fold = len(self._contexts), self._context, self._fold
        number = np.arange(FOLDS * contexts)
        return self._patterns(fold * contexts + context, tenant=number % contexts, fold=number // contexts)

    @cached_property
    def _by_row(self) -> Patterns:
        """A state for each row, for targets that differ from row to row."""
        return self._patterns(np.arange(len(self)), tenant=self._context, fold=self._fold)

    def _patterns(self, state: Ints, *, tenant: Ints, fold: Ints) -> Patterns:
        n, arms = len(self), len(self.arms)
        return Patterns(
            arms=self.arms,
            tenants=self._contexts,
            action=self.action.astype(np.int64, copy=False)[:, None],
            propensity=self.propensity.astype(np.float64, copy=False)[:, None],
            state=state[:, None],
            states=States(
                available=np.broadcast_to(np.True_, (len(tenant), arms)),
                tenant=tenant,
                attempt=np.zeros(len(tenant), dtype=np.int64),
                fold=fold,
            ),
            sums=Sums.of_rows(self.reward, np.ones(n) if self.sample_weight is None else self.sample_weight),
            folds=FOLDS,
            slicings=self._slicings,
        )

    @cached_property
    def _fold(self) -> Ints:
        return np.random.default_rng(self.seed).integers(0, FOLDS, len(self))

    @cached_property
    def _slicings(self) -> tuple[Slicing, ...]:
        found = []
        for name, column in self.slices.items():
            code, labels = pd.factorize(column, sort=True, use_na_sentinel=False)
            found.append(Slicing(name, tuple(str(label) for label in labels), code.astype(np.int64)))
        return tuple(found)

    @cached_property
    def _context(self) -> Ints:
        """The combination of labels of each row, counted from 0."""
        codes = [each.code for each in self._slicings]
        return combine(codes) if len(codes) > 1 else codes[0] if codes else np.zeros(len(self), dtype=np.int64)

    @cached_property
    def _contexts(self) -> tuple[str, ...]:
        return tuple(map(str, range(int(self._context.max(initial=0)) + 1)))


def _require(column: npt.NDArray[Any], holds: npt.NDArray[np.bool_], name: str, bound: str) -> None:
    if not holds.all():
        row = int(np.argmin(holds))
        raise InvalidInput(f"row {row}: {name} is {column[row]}; it {bound}")
