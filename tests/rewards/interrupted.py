"""Run by `test_kill.py` as a process: materialises what is stale and kills itself at a named call.

python interrupted.py MODULE FUNCTION NUMBER before|after
"""

import importlib
import itertools
import os
import signal
import sys
from typing import Any

from cogorch_dagster.rewards import hourly, materialise
from cogorch_dagster.settings import Settings


def main(module: str, function: str, number: int, moment: str) -> None:
    owner = importlib.import_module(module)
    original = getattr(owner, function)
    calls = itertools.count(1)

    def killing(*arguments: Any, **options: Any) -> Any:
        # Threads call it at the same time: each call has its own number.
        call = next(calls)
        if call == number and moment == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        result = original(*arguments, **options)
        if call == number and moment == "after":
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, function, killing)
    # Small enough that an installation of a few hours has several passes of both sorts.
    materialise.MOST_HOURS, hourly.SMALL_ROWS = 2, 30
    settings = Settings(_env_file=None)
    hours = materialise.stale_hours(settings)
    materialise.materialise_rewards(settings, hours)
    materialise.materialise_rollups(settings, hours)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4])
