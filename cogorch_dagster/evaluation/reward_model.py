"""A regression of the reward on the arm and on features of the decision: piecewise linear, ridge, in plain arrays.

q(x, a) = mean of the arm (within its label and attempt) + slopes of the arm . basis(x), where the basis of a feature is
its position among quantiles of the training rows, with hinges at their quarters: monotone transformations of a feature
change nothing, and no value, however far out, is extrapolated to. Features speak to the first draw only: what decides
after a failure is the failure. How it is fitted is in `ridge`; how it enters the doubly robust estimator in `forward`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.evaluation.patterns import Bools, Floats, Ints

Texts = npt.NDArray[np.object_]
FORMAT = "cogorch-reward-model/1"
_LEVELS = np.linspace(0.0, 1.0, 9)
_HINGES = (0.25, 0.5, 0.75)


@dataclass(frozen=True, eq=False)
class Basis:
    """Columns of features, in [-1, 1].

    Attributes:
        knots: (F, 9) increasing quantiles of each feature.
        levels: (F, 9) position in [0, 1] of each knot; knots of one value share the middle of theirs.
        missing: (F,) whether values were missing, which is then a column of its own.
        centre: (M,) means that the columns are counted from.
        kept: (M,) number of each column among all that could be made.
    """

    knots: Floats
    levels: Floats
    missing: Bools
    centre: Floats
    kept: Ints

    @property
    def width(self) -> int:
        return len(self.kept)

    def columns(self, features: Floats) -> Floats:
        """(n, M) the columns of (n, F) values; a missing value (NaN) is a typical one."""
        return _raw(features, self.knots, self.levels, self.missing)[:, self.kept] - self.centre


def basis_of(features: Floats) -> Basis:
    """The basis of (n, F) training values; features that do not vary have no column."""
    known = np.isfinite(features)
    count = features.shape[1]
    knots, levels = np.zeros((count, len(_LEVELS))), np.full((count, len(_LEVELS)), 0.5)
    for number in range(count):
        values = features[known[:, number], number]
        if len(values):
            knots[number] = np.quantile(values, _LEVELS)
            levels[number] = _shared_levels(knots[number])
    missing: Bools = np.logical_not(known.all(axis=0))
    raw = _raw(features, knots, levels, missing)
    kept = np.flatnonzero(raw.std(axis=0) > 1e-9)
    return Basis(knots, levels, missing, raw[:, kept].mean(axis=0), kept)


@dataclass(frozen=True, eq=False)
class RewardModel:
    """The fitted regression.

    Attributes:
        labels: what decisions are told apart by beside their features, such as tenants.
        anywhere: (T, K) mean reward of each arm at each attempt, for decisions whose label is not among `labels`.
        means: (X, T, K) the same within each label.
        slopes: (K, M) by the columns of the basis; they count at the first attempt.
        penalty: of the ridge on the slopes; infinite where they are all 0.
        rows: draws that it was fitted to.
    """

    arms: tuple[str, ...]
    labels: tuple[str, ...]
    features: tuple[str, ...]
    basis: Basis
    anywhere: Floats
    means: Floats
    slopes: Floats
    penalty: float
    rows: int

    def expected(self, features: Floats, label: Ints | None = None, attempt: int = 0) -> Floats:
        """(n, K) the reward to expect of each arm.

        Args:
            features: (n, F) in the order of `features`, NaN where unknown.
            label: (n,) number of each decision's label, -1 where it is none of them; None: of none.
            attempt: 0 for the first draw.

        Raises:
            InvalidInput: another number of features.
        """
        if features.ndim != 2 or features.shape[1] != len(self.features):
            raise InvalidInput(
                f"features of shape {features.shape}; the model needs (n, {len(self.features)}): "
                f"{', '.join(self.features) or 'none'}"
            )
        code = np.full(len(features), -1) if label is None else label
        table = np.concatenate([self.means[:, attempt], self.anywhere[None, attempt]])
        mean = table[code]
        return mean if attempt else mean + self.basis.columns(features) @ self.slopes.T

    def expected_of(self, features: Floats, label: Texts, arm: Texts) -> Floats:
        """(n,) the reward to expect of decisions that drew these arms first, all by their names.

        A label that the model has not met is none of its own; an arm is worth the mean of those that it knows.
        """
        place = _places(self.arms, arm)
        expected = self.expected(features, _places(self.labels, label))
        return np.asarray(np.where(place < 0, expected.mean(axis=1), expected[np.arange(len(arm)), place]))

    def document(self) -> dict[str, Any]:
        """The model as JSON; nothing of it executes when it is read back by `of`."""
        return {
            "format": FORMAT,
            "arms": list(self.arms),
            "labels": list(self.labels),
            "features": list(self.features),
            "basis": {name: getattr(self.basis, name).tolist() for name in Basis.__dataclass_fields__},
            "anywhere": self.anywhere.tolist(),
            "means": self.means.tolist(),
            "slopes": self.slopes.tolist(),
            "penalty": self.penalty if np.isfinite(self.penalty) else None,
            "rows": self.rows,
        }


def of(document: Mapping[str, Any]) -> RewardModel:
    """The model of a `RewardModel.document`.

    Raises:
        InvalidInput: another format, or arrays that do not fit together.
    """
    if document.get("format") != FORMAT:
        raise InvalidInput(f"a reward model of format {document.get('format')!r}; this version reads {FORMAT!r}")
    try:
        return _checked(_read(document))
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidInput(f"the document is no complete reward model ({error!r}); export it again") from error


def _read(document: Mapping[str, Any]) -> RewardModel:
    arms, labels, features = (tuple(map(str, document[name])) for name in ("arms", "labels", "features"))
    given, count = document["basis"], len(features)
    kept = np.array(given["kept"], dtype=np.int64)
    basis = Basis(
        knots=_floats(given["knots"], (count, len(_LEVELS))),
        levels=_floats(given["levels"], (count, len(_LEVELS))),
        missing=np.array(given["missing"], dtype=np.bool_).reshape(count),
        centre=_floats(given["centre"], (len(kept),)),
        kept=kept,
    )
    anywhere = _floats(document["anywhere"], (-1, len(arms)))
    penalty = document["penalty"]
    return RewardModel(
        arms=arms,
        labels=labels,
        features=features,
        basis=basis,
        anywhere=anywhere,
        means=_floats(document["means"], (len(labels), len(anywhere), len(arms))),
        slopes=_floats(document["slopes"], (len(arms), len(kept))),
        penalty=float("inf") if penalty is None else float(penalty),
        rows=int(document["rows"]),
    )


def _checked(model: RewardModel) -> RewardModel:
    most = len(model.features) * (len(_HINGES) + 2)
    if ((model.basis.kept < 0) | (model.basis.kept >= most)).any():
        raise ValueError(f"a column of the basis lies outside 0 to {most - 1}")
    for name in ("anywhere", "means", "slopes"):
        if not np.isfinite(getattr(model, name)).all():
            raise ValueError(f"{name} holds a number that is not finite")
    return model


def joined_names(names: Sequence[str], count: int) -> tuple[str, ...]:
    """The names of `count` features, numbered where none are given.

    Raises:
        InvalidInput: another number of names.
    """
    if names and len(names) != count:
        raise InvalidInput(f"{len(names)} names for {count} features; give one for each, or none")
    return tuple(names) or tuple(f"x{number}" for number in range(count))


def _places(names: Sequence[str], wanted: Texts) -> Ints:
    """(n,) the number of each text among the names, -1 where it is none of them."""
    distinct, which = np.unique(wanted, return_inverse=True)
    number = {name: place for place, name in enumerate(names)}
    return np.array([number.get(str(each), -1) for each in distinct], dtype=np.int64)[which]


def _floats(values: Any, shape: tuple[int, ...]) -> Floats:
    return np.array(values, dtype=np.float64).reshape(shape)


def _shared_levels(knots: Floats) -> Floats:
    """Of knots that fall together the middle level, so that a step is where the value changes."""
    _, place = np.unique(knots, return_inverse=True)
    total = np.bincount(place, weights=_LEVELS)
    return np.asarray((total / np.bincount(place))[place])


def _raw(features: Floats, knots: Floats, levels: Floats, missing: Bools) -> Floats:
    """(n, 5 F): position, hinges, and whether it is missing, of each feature in turn."""
    n, count = features.shape
    out = np.zeros((n, count, len(_HINGES) + 2))
    for number in range(count):
        known = np.isfinite(features[:, number])
        at = np.full(n, 0.5)
        at[known] = np.interp(features[known, number], knots[number], levels[number])
        out[:, number, 0] = at
        for column, hinge in enumerate(_HINGES, start=1):
            out[:, number, column] = np.maximum(at - hinge, 0.0)
        if missing[number]:
            out[:, number, -1] = ~known
    return out.reshape(n, count * (len(_HINGES) + 2))
