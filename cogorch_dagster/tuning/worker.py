"""One process that works on a study: `python -m cogorch_dagster.tuning.worker STUDY PARENT TASK...`.

`workers.share` starts it with one of these tasks: `trials MOST`, `finalists`, `confirmation TRIAL SEEDS`. It ends when
the task is done, when it is interrupted, and when the process that started it is gone.
"""

import os
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress

from cogorch_dagster.errors import Refused
from cogorch_dagster.platform.database import transaction
from cogorch_dagster.settings import Settings, load_settings
from cogorch_dagster.tuning import study as studies
from cogorch_dagster.tuning.finalists import decide
from cogorch_dagster.tuning.objective import Interrupted
from cogorch_dagster.tuning.pairs import paired
from cogorch_dagster.tuning.search import real_trainings, work
from cogorch_dagster.tuning.study import Study
from cogorch_dagster.tuning.trials import Trials
from cogorch_dagster.tuning.workers import worker_name


def main(name: str, parent: int, task: Sequence[str]) -> None:
    """Work on a study of this installation."""
    asked: list[int] = []
    signal.signal(signal.SIGINT, lambda number, _: asked.append(number))
    signal.signal(signal.SIGTERM, lambda number, _: asked.append(number))
    settings = load_settings()
    with transaction(settings) as connection:
        study = studies.get(connection, name)

    def stop() -> bool:
        return bool(asked) or os.getppid() != parent

    with suppress(Interrupted):
        match task:
            case ["trials", most]:
                _search(settings, study, int(most), stop)
            case ["finalists"]:
                decide(settings, study, stop=stop)
            case ["confirmation", trial, seeds]:
                # What refuses here refuses in the process that waits for this one too, which says so.
                with suppress(Refused):
                    paired(settings, study, int(trial), int(seeds), stop=stop)
            case _:
                raise SystemExit(f"no task of a worker: {' '.join(task)}")


def _search(settings: Settings, study: Study, most: int, stop: Callable[[], bool]) -> None:
    objective, own = real_trainings(settings, study.plan), Trials(settings, study, worker_name())
    try:
        work(own, most, objective, stop=stop)
    finally:
        own.close()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3:])
