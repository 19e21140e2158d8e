"""From a data set to what discovery takes: columns that vary, near to Gaussian, of rows that count as independent.

In this order: columns without a say of their own are set aside (`dependence`), discrete variables become indicators
(`indicators`), skewed columns rank-normal scores (`normal_scores`), rows their innovations where they depend on the
rows before (`autocorrelation`), and the covariance comes from EM where values are missing (`missing`).
"""

from dataclasses import dataclass
from typing import get_args

import numpy as np

from cogorch_dagster.causal.data import constants, dependence, missing, normal_scores
from cogorch_dagster.causal.data.autocorrelation import Handling
from cogorch_dagster.causal.data.dataset import Bools, CausalDataset, Floats, Integers, SetAside
from cogorch_dagster.causal.data.independent_rows import IndependentRows, independent_rows
from cogorch_dagster.causal.data.indicators import Embedded, embedded
from cogorch_dagster.causal.data.lags import is_lagged
from cogorch_dagster.causal.data.prepared import Prepared
from cogorch_dagster.causal.data.sufficient import SufficientStatistics
from cogorch_dagster.errors import InvalidInput

FEWEST_ROWS = 10

_DETERMINED = 1e-16


@dataclass(frozen=True)
class Preparation:
    """How to prepare.

    Attributes:
        scores: rank-normal scores for columns that need them, for all, or for none. LiNGAM needs `never`.
        autocorrelation: `prewhiten`: innovations instead of rows; `effective`: fewer rows are counted; `none`: the rows
            are independent; `auto`: prewhiten when the rows are worth less than 80 % of independent ones and less than
            the innovations.
        prefer: variables that stay when they depend linearly on others.

    Raises:
        InvalidInput: an unknown word.
    """

    scores: normal_scores.Scores = "auto"
    autocorrelation: Handling = "auto"
    prefer: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for what, value, known in (
            ("scores", self.scores, normal_scores.Scores),
            ("autocorrelation", self.autocorrelation, Handling),
        ):
            if value not in get_args(known):
                raise InvalidInput(f"{what} {value!r} must be one of {', '.join(get_args(known))}")


def sufficient(data: CausalDataset, settings: Preparation | None = None) -> SufficientStatistics:
    """The statistics of the prepared data.

    Raises:
        InvalidInput: as `prepared`.
    """
    return prepared(data, settings).statistics()


def prepared(data: CausalDataset, settings: Preparation | None = None) -> Prepared:
    """The data set as discovery takes it.

    Raises:
        InvalidInput: fewer than 10 rows, fewer than 2 variables that vary, or rows worth too few independent ones.
    """
    settings = settings or Preparation()
    if data.rows < FEWEST_ROWS:
        raise InvalidInput(f"{data.scope!r} has {data.rows} rows, at least {FEWEST_ROWS} are needed; take more data")
    data, aside = _with_a_say(data, settings)
    columns, aside_later, scored = _scored(data, settings)
    aside += aside_later
    names = tuple(name for name in data.names if name not in {each.name for each in aside_later})
    notes = [f"rank-normal scores of {', '.join(scored)}"] if scored else []
    lagged = any(is_lagged(name) for name in names)
    found = independent_rows(columns.values, data.groups, settings.autocorrelation, lagged=lagged)
    notes += found.notes
    names, owner, keep, still = _varying(found, names, columns)
    _check_enough(data, names, [*aside, *still])
    return _finished(found, names, owner, keep, data, [*aside, *still], notes)


def _with_a_say(data: CausalDataset, settings: Preparation) -> tuple[CausalDataset, list[SetAside]]:
    aside: list[SetAside] = []
    for find in (
        constants.constants,
        constants.rarely_together,
        lambda left: dependence.dependent(left.names, embedded(left.variables, left.values), settings.prefer),
    ):
        found = find(data)
        aside += found
        data = _without(data, found)
    return data, aside


def _without(data: CausalDataset, aside: list[SetAside]) -> CausalDataset:
    gone = {each.name for each in aside}
    left = tuple(name for name in data.names if name not in gone)
    _check_enough(data, left, aside)
    return data.only(left, tuple(aside)) if aside else data


def _check_enough(data: CausalDataset, left: tuple[str, ...], aside: list[SetAside]) -> None:
    if len(left) < 2:
        why = "; ".join(f"{each.name} {each.reason}" for each in dict.fromkeys((*data.set_aside, *aside)))
        raise InvalidInput(
            f"{data.scope!r} has {len(left)} variables with a say of their own, at least 2 are needed; take more data "
            f"or columns. Left out: {why or 'none'}"
        )


def _scored(data: CausalDataset, settings: Preparation) -> tuple[Embedded, list[SetAside], list[str]]:
    """The embedded columns with scores where they are needed, of mean 0 and variance 1."""
    columns = embedded(data.variables, data.values)
    which = columns.continuous & normal_scores.scored(columns.values, data.groups, settings.scores)
    values = columns.values.copy()
    aside: list[SetAside] = []
    if which.any():
        values[:, which] = normal_scores.normal_scores(values[:, which])
        # Monotone transforms of one another have the same scores.
        columns = Embedded(values, columns.owner, columns.continuous, columns.labels)
        aside = dependence.dependent(data.names, columns, settings.prefer)
    gone = {each.name for each in aside}
    kept = np.array([data.names[owner] not in gone for owner in columns.owner], dtype=bool)
    values = values[:, kept]
    values = (values - np.nanmean(values, axis=0)) / np.nanstd(values, axis=0)
    owner = np.unique(columns.owner[kept], return_inverse=True)[1].astype(np.int64)
    labels = tuple(label for label, keep in zip(columns.labels, kept, strict=True) if keep)
    scored = [label for label, keep, used in zip(columns.labels, kept, which, strict=True) if keep and used]
    return Embedded(values, owner, columns.continuous[kept], labels), aside, scored


def _varying(
    found: IndependentRows, names: tuple[str, ...], columns: Embedded
) -> tuple[tuple[str, ...], Integers, Bools, list[SetAside]]:
    """The variables of the columns that vary in the rows that are left, their owners, which these are, and the rest."""
    keep = _variance(found.values) >= _DETERMINED
    moves = _variance(columns.values[found.rows]) >= _DETERMINED
    owner = columns.owner
    still = []
    for place, name in enumerate(names):
        if not keep[owner == place].any():
            follows = moves[owner == place].any()
            reason = "follows from the rows before it" if follows else "does not vary in the rows that follow others"
            still.append(SetAside(name, reason))
    gone = {each.name for each in still}
    left = tuple(name for name in names if name not in gone)
    return left, np.unique(owner[keep], return_inverse=True)[1].astype(np.int64), keep, still


def _variance(values: Floats) -> Floats:
    """(q,) of each column; 0 where it has no value."""
    known = ~np.isnan(values)
    count = np.maximum(known.sum(axis=0), 1)
    centred = values - np.where(known, values, 0.0).sum(axis=0) / count
    return np.asarray(np.where(known, centred**2, 0.0).sum(axis=0) / count)


def _finished(
    found: IndependentRows,
    names: tuple[str, ...],
    owner: Integers,
    keep: Bools,
    data: CausalDataset,
    aside: list[SetAside],
    notes: list[str],
) -> Prepared:
    values = found.values[:, keep]
    values = (values - np.nanmean(values, axis=0)) / np.nanstd(values, axis=0)
    informed = missing.information(_known(values, found.history[:, np.tile(keep, found.history.shape[1] // len(keep))]))
    effective = len(values) * informed * found.worth - found.lags * len(owner)
    if effective < 2:
        raise InvalidInput(f"the {data.rows} rows of {data.scope!r} count as {effective:.1f}; take a longer period")
    if informed < 1:
        missed = float(np.isnan(values).mean())
        share = f"{missed:.1%}" if missed >= 0.001 else "less than 0.1%"
        notes.append(f"{share} of the values are missing; moments by EM")
    if effective < data.rows - 0.5:
        notes.append(f"{data.rows} rows count as {effective:.0f}")
    block = 1 if found.worth > 0.95 else int(min(np.ceil(3.0 / found.worth), max(1, len(values) // 10)))
    return Prepared(
        variables=names,
        owner=owner,
        values=values,
        history=found.history,
        groups=found.groups,
        rows=data.rows,
        effective_rows=float(effective),
        worth=float(effective / (len(values) * informed)),
        lags=found.lags,
        block=block,
        set_aside=tuple(dict.fromkeys((*data.set_aside, *aside))),
        notes=tuple(notes),
    )


def _known(values: Floats, history: Floats) -> Bools:
    """(m, q) whether a value is known and, where its history is conditioned on, its own past as well."""
    lags = history.shape[1] // values.shape[1]
    past = history.reshape(len(values), lags, values.shape[1])
    return np.asarray(~np.isnan(values) & ~np.isnan(past).any(axis=1))
