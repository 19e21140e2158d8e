"""One process of a search: `python -m cogorch_dagster.tuning.worker STUDY TRIALS PARENT`, started by `search.run`.

It ends when the study has its trials, when it is interrupted, and when the process that started it is gone.
"""

import os
import signal
import sys

from cogorch_dagster.platform.database import transaction
from cogorch_dagster.settings import load_settings
from cogorch_dagster.tuning import study
from cogorch_dagster.tuning.search import real_trainings, work
from cogorch_dagster.tuning.trials import Trials
from cogorch_dagster.tuning.workers import worker_name


def main(name: str, trials: int, parent: int) -> None:
    """Work on a study of this installation."""
    asked: list[int] = []
    signal.signal(signal.SIGINT, lambda number, _: asked.append(number))
    signal.signal(signal.SIGTERM, lambda number, _: asked.append(number))
    settings = load_settings()
    with transaction(settings) as connection:
        found = study.get(connection, name)
    objective, own = real_trainings(settings, found.plan), Trials(settings, found, worker_name())
    try:
        work(own, trials, objective, stop=lambda: bool(asked) or os.getppid() != parent)
    finally:
        own.close()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
