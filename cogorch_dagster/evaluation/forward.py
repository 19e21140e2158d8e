"""The reward model with features as the doubly robust estimator needs it: their slopes are learnt from the past only.

q(x, a) = mean of the arm + slopes of the arm . (basis(x) - its mean so far, of label and arm). The means are the
cross-fitted ones of `outcome_model`. Features of a decision may count what came of earlier ones, so that slopes from
hashed folds would let a decision's own reward into the features of others and by these back to itself. So the log is
cut into blocks of time, and the slopes of each come from the blocks before it. Given the past, a draw is as random as
its propensity says: every term of the estimator stays unbiased, whatever the slopes are worth (Hadad, Hirshberg, Zhan,
Wager and Athey 2021, section 2; Kallus and Uehara 2019, cross-time fitting). The first two blocks have no slopes. The
penalty of a block is the one that predicted the blocks before it best, so that features which explain nothing cost
nothing.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.evaluation.outcome_model import OutcomeModel, fitted
from cogorch_dagster.evaluation.patterns import Bools, Floats, Ints, Patterns
from cogorch_dagster.evaluation.reward_model import basis_of
from cogorch_dagster.evaluation.ridge import PENALTIES, Accumulated, Draws, squared_error

BORDERS = (0.0, 1 / 16, 1 / 8, 1 / 4, 3 / 8, 1 / 2, 5 / 8, 3 / 4, 7 / 8, 1.0)
"""Where blocks begin and end, as shares of the decisions."""
_FREE = 0.01
FEWEST = 200
"""Decisions below which features are not used."""


def forward_fitted(
    patterns: Patterns, features: Floats, order: Ints | Floats, usable_from: float = -np.inf
) -> OutcomeModel:
    """The rewards to expect along a log in which every decision is a pattern with states of its own.

    Args:
        features: (P, F) known before each decision; NaN where unknown.
        order: (P,) when each decision was taken, in any unit.
        usable_from: earlier decisions are expected by the means alone, because the features were chosen on their
            rewards. Slopes may well be learnt from them: they are the past of those that count.

    Raises:
        InvalidInput: arrays of another length, or decisions that share a pattern or a state.
    """
    if features.ndim != 2 or len(features) != len(patterns.action) or np.shape(order) != (len(features),):
        raise InvalidInput(
            f"features of shape {features.shape} and an order of {np.shape(order)} for {len(patterns.action)} "
            "decisions; give one row and one time for each"
        )
    _require_rows(patterns)
    if len(features) < FEWEST or not features.shape[1]:
        return fitted(patterns)
    plain = fitted(patterns)
    by_arm = plain.by_arm.copy()
    ranked = np.argsort(np.asarray(order), kind="stable")
    usable = np.asarray(order) >= usable_from
    _add_slopes(patterns, features, np.array_split(ranked, _cuts(len(ranked))), usable, by_arm)
    drawn = np.where(patterns.attempted, by_arm[patterns.state, np.maximum(patterns.action, 0)], 0.0)
    return replace(plain, by_arm=by_arm, drawn=drawn, means=plain.drawn)


def moved(order: Ints | Floats, usable_from: float = -np.inf) -> int:
    """How many decisions features can say anything about in `forward_fitted`, of those taken at `order`."""
    if len(order) < FEWEST:
        return 0
    ranked = np.sort(np.asarray(order))[int(_cuts(len(order))[0]) :]
    return int((ranked >= usable_from).sum())


def draws_of(patterns: Patterns, features: Floats, rows: Ints | None = None) -> tuple[Draws, Ints]:
    """The draws of some patterns, each attempt one, and the numbers of their states."""
    which = np.arange(len(patterns.action)) if rows is None else rows
    place, attempt = np.nonzero(patterns.attempted[which])
    row = which[place]
    state = patterns.state[row, attempt]
    sums = patterns.sums
    reward = np.divide(sums.sy, sums.s, out=np.zeros_like(sums.sy), where=sums.s > 0)
    found = Draws(
        arm=patterns.action[row, attempt],
        label=patterns.states.tenant[state],
        attempt=attempt.astype(np.int64),
        reward=reward[row],
        weight=sums.s[row],
        features=features[row],
    )
    return found, state


def _add_slopes(patterns: Patterns, features: Floats, blocks: Sequence[Ints], usable: Bools, by_arm: Floats) -> None:
    """Add what features say to (S, K) `by_arm`, at first attempts of usable decisions, where a block has a past."""
    names = tuple(f"x{number}" for number in range(features.shape[1]))
    basis = basis_of(features[blocks[0]])
    sums = Accumulated(basis, len(patterns.arms), len(patterns.tenants), patterns.action.shape[1])
    sums.add(draws_of(patterns, features, blocks[0])[0])
    errors = np.zeros(len(PENALTIES))
    errors[:-1] = np.finfo(np.float64).tiny  # before there is any evidence, means alone
    for block in blocks[1:]:
        draws, _ = draws_of(patterns, features, block)
        models = [sums.solve(penalty, names, patterns.arms, patterns.tenants, _FREE) for penalty in PENALTIES]
        chosen = models[int(np.argmin(errors))]
        usual = (sums.mean_columns() * chosen.slopes).sum(axis=2)
        speaks = block[usable[block]]
        first = patterns.state[speaks, 0]
        by_arm[first] += basis.columns(features[speaks]) @ chosen.slopes.T - usual[patterns.states.tenant[first]]
        errors += [squared_error(model, draws) for model in models]
        sums.add(draws)


def _cuts(count: int) -> Ints:
    return np.asarray(np.rint(np.array(BORDERS[1:-1]) * count), dtype=np.int64)


def _require_rows(patterns: Patterns) -> None:
    state = patterns.state[patterns.attempted]
    if (patterns.sums.n != 1).any() or len(np.unique(state)) != len(state):
        raise InvalidInput(
            "features need a log row by row: every decision its own pattern, every draw its own state; "
            "build it by `LoggedBandit(features=...)` or `patterns.by_row`"
        )
