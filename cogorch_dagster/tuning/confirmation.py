"""The confirmation of a winner: trained anew against what is in force, on seeds that the search has never seen.

The best of many trials looks better than it is. Only the difference that is measured here is evidence: both are trained
with the same fresh seed and evaluated on the same fresh fleets, seed by seed (common random numbers).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from cogorch_dagster.errors import InvalidInput, Refused
from cogorch_dagster.platform.database import transaction
from cogorch_dagster.settings import Settings
from cogorch_dagster.tuning import finalists, studies
from cogorch_dagster.tuning import study as hyperparameters
from cogorch_dagster.tuning.difference import LEVEL, Difference, difference
from cogorch_dagster.tuning.finalists import Told
from cogorch_dagster.tuning.fresh import fresh_seed, fresh_training
from cogorch_dagster.tuning.pairs import paired
from cogorch_dagster.tuning.studies import Planned, Study
from cogorch_dagster.tuning.study import Plan

SEEDS = 10


@dataclass(frozen=True)
class Confirmation:
    """The result of a study.

    Attributes:
        trial: number of the winner.
        params: its complete hyperparameters.
        version: that it was compared with; None: none was in force.
        seeds: of the trainings, all fresh.
        found: the difference to the params of that version.
    """

    study: str
    trial: int
    params: dict[str, Any]
    version: str | None
    seeds: tuple[int, ...]
    found: Difference

    def document(self) -> dict[str, Any]:
        """As JSON, for `studies.result`."""
        return asdict(self) | {"verdict": self.found.verdict, "level": LEVEL}

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> "Confirmation":
        """What `document` was called on."""
        found = dict(document["found"])
        return cls(
            study=document["study"],
            trial=document["trial"],
            params=dict(document["params"]),
            version=document["version"],
            seeds=tuple(document["seeds"]),
            found=Difference(
                differences=tuple(found.pop("differences")), bootstrap=tuple(found.pop("bootstrap")), **found
            ),
        )


def confirm(
    settings: Settings,
    study: Study[Plan],
    *,
    seeds: int | None = None,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
    selected: Callable[[Told], None] | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> Confirmation | None:
    """Train the winner and the version in force on fresh seeds, and store the difference as the study's result.

    The winner is chosen first, where that is not done yet (`finalists.decide`). Seeds count once: what was stored of
    the same winner is not trained again. Where the winner is what is in force there is nothing to confirm: None,
    without a training on fresh seeds and without a result.

    Args:
        seeds: 3 to 1000; without it, as many as the study was confirmed on before, or 10.
        workers: processes of this machine, 1 to 256; 1 is the caller's own. The result is the same.
        progress: called with the seeds done and their number.
        selected: called after each further training of a finalist.
        stop: asked after every step of a training.

    Raises:
        InvalidInput: too few or too many seeds.
        Refused: `no_winner`: as `finalists.winner_of`. `seeds_fixed`: the study was confirmed on another number.
            `training_diverged`: the version in force or the winner cannot be trained on a fresh seed, so that nothing
            is shown.
        objective.Interrupted: `stop` said so; there is no result, and what was trained is not trained again.
        Unavailable: PostgreSQL cannot be reached, or all workers died.
    """
    seeds = settled(settings, study, seeds)
    finals = finalists.decide(settings, study, workers=workers, progress=selected, stop=stop)
    winner = finalists.winner_of(study, finals)
    if is_in_force(study.plan, winner.params):
        return None
    found = _same(settings, study, winner.number, winner.params, seeds)
    if found is None:
        values = paired(settings, study, winner.number, seeds, workers=workers, progress=progress, stop=stop)
        found = _confirmation(study, winner.number, winner.params, difference(values[0], values[1]))
    chosen = [each.document() for each in finals.finalists]
    with transaction(settings) as connection:
        hyperparameters.end(connection, study.name, found.document() | ({"finalists": chosen} if chosen else {}))
    return found


def confirmed(
    settings: Settings,
    study: Study[Planned],
    trial: int,
    params: Mapping[str, Any],
    *,
    seeds: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    stop: Callable[[], bool] | None = None,
) -> Confirmation:
    """The confirmation of a trial of a study of any sort, not stored; that of its result where that is the same.

    Args:
        params: complete, of the trial; the others as of `confirm`.

    Raises:
        As `confirm`; `unknown_study`.
    """
    plan, number = study.plan, settled(settings, study, seeds)
    if (before := _same(settings, study, trial, params, number)) is not None:
        return before
    found = compared(plan, params, plan.current, seeds=number, progress=progress, stop=stop)
    return _confirmation(study, trial, params, found)


def settled(settings: Settings, study: Study[Planned], seeds: int | None) -> int:
    """On how many seeds a study is confirmed: once it was, on as many ever after.

    To look at a difference again with more seeds until it is significant shows one, sooner or later, where there is
    none: the interval of a confirmation holds for a number of seeds that was chosen before anything was seen.

    Args:
        seeds: asked for; None: no matter.

    Raises:
        InvalidInput: fewer than 3 or more than 1000.
        Refused: `seeds_fixed`: the study was confirmed on another number. `unknown_study`.
    """
    before = _before(settings, study)
    if before is None:
        number = SEEDS if seeds is None else seeds
        fresh_seeds(study.plan, number)
        return number
    first = len(before.seeds)
    if seeds not in (None, first):
        raise Refused(
            "seeds_fixed",
            f"study {study.name} was confirmed on {first} fresh seeds, so {seeds} cannot follow: with another look "
            f"its interval would not hold any more. Give {first}, or begin a study with another seed",
        )
    return first


def is_in_force(plan: Planned, params: Mapping[str, Any]) -> bool:
    """Whether these are the very hyperparameters that the search was to surpass, as those of trial 0 are."""
    return dict(params) == plan.current


def compared(
    plan: Planned,
    candidate: Mapping[str, Any],
    baseline: Mapping[str, Any],
    *,
    seeds: int = SEEDS,
    progress: Callable[[int, int], None] | None = None,
    stop: Callable[[], bool] | None = None,
) -> Difference:
    """Two sets of hyperparameters on the plan's fresh seeds; raises as `confirm`."""
    values = returns(plan, [candidate, baseline], seeds=seeds, progress=progress, stop=stop)
    return difference(values[0], values[1])


def returns(
    plan: Planned,
    arms: Sequence[Mapping[str, Any]],
    *,
    seeds: int = SEEDS,
    progress: Callable[[int, int], None] | None = None,
    stop: Callable[[], bool] | None = None,
) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Normalised returns of several sets of hyperparameters on the plan's fresh seeds, [arms, seeds]."""
    fresh_seeds(plan, seeds)
    found = np.empty((len(arms), seeds))
    for place in range(seeds):
        for arm, params in enumerate(arms):
            # Equal ones come to the same, bit for bit.
            twin = arms.index(params)
            known = twin < arm
            found[arm, place] = found[twin, place] if known else _return(plan, params, place, stop)
        if progress is not None:
            progress(place + 1, seeds)
    return found


def fresh_seeds(plan: Planned, seeds: int) -> tuple[int, ...]:
    """The training seeds of a confirmation, none of them the search's, nor those on which the baseline was confirmed.

    Raises:
        InvalidInput: fewer than 3 or more than 1000.
    """
    if not 3 <= seeds <= 1000:
        raise InvalidInput(f"a confirmation needs 3 to 1000 seeds, got {seeds}")
    return tuple(fresh_seed(plan, "confirmation", place) for place in range(seeds))


def _return(plan: Planned, params: Mapping[str, Any], place: int, stop: Callable[[], bool] | None) -> float:
    return fresh_training(plan, params, "confirmation", place, stop).normalised


def _confirmation(study: Study[Planned], trial: int, params: Mapping[str, Any], found: Difference) -> Confirmation:
    fresh = fresh_seeds(study.plan, len(found.differences))
    return Confirmation(study.name, trial, dict(params), study.plan.version, fresh, found)


def _same(
    settings: Settings, study: Study[Planned], trial: int, params: Mapping[str, Any], seeds: int
) -> Confirmation | None:
    """The study's result where it is of this trial on these seeds."""
    before, asked = _before(settings, study), (trial, dict(params), fresh_seeds(study.plan, seeds))
    return before if before is not None and (before.trial, before.params, before.seeds) == asked else None


def _before(settings: Settings, study: Study[Planned]) -> Confirmation | None:
    with transaction(settings) as connection:
        result = studies.row(connection, study.name).result
    return None if result is None else Confirmation.from_document(result)
