"""The pairs of a confirmation: a trial and what is in force, both trained on a fresh seed, noted with that trial.

What the difference is and what follows from it is `confirmation.py`.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from cogorch_dagster.settings import Settings
from cogorch_dagster.tuning.fresh import fresh_training
from cogorch_dagster.tuning.sharing import Piece, finish
from cogorch_dagster.tuning.study import Study
from cogorch_dagster.tuning.trials import Trials

_NOTE = "confirmation "


def paired(
    settings: Settings,
    study: Study,
    trial: int,
    seeds: int,
    *,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Normalised returns of a trial and of what is in force on the first fresh seeds of the plan, [2, seeds].

    Args:
        trial: a number; the trial has ended.
        workers: processes of this machine, 1 to 256; 1 is the caller's own.
        progress: called with the seeds done, here and elsewhere, and their number, for each that is done meanwhile.
        stop: asked between the steps of a training; the finished pairs are kept.

    Raises:
        As `confirmation.confirm`.
    """
    trials = Trials(settings, study)
    try:
        params = trials.all()[trial].params
        names = [f"{_NOTE}{place}" for place in range(seeds)]
        told = sum(name in trials.notes(trial) for name in names)

        def left() -> list[Piece]:
            nonlocal told
            notes = trials.notes(trial)
            open_ = [(trial, name) for name in names if name not in notes]
            while told < seeds - len(open_):
                told += 1
                if progress is not None:
                    progress(told, seeds)
            return open_

        def do(piece: Piece) -> list[float]:
            place = names.index(piece[1])
            arms = (params, study.plan.current)
            return [fresh_training(study.plan, each, "confirmation", place, stop).normalised for each in arms]

        task = ("confirmation", str(trial), str(seeds))
        finish(settings, trials, task, left=left, do=do, workers=workers, stop=stop)
        notes = trials.notes(trial)
        return np.array([notes[name] for name in names]).T
    finally:
        trials.close()
