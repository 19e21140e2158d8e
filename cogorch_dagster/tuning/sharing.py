"""Work after a search in pieces, each of them a note of a trial: done once, by whichever process takes it first.

Who takes a piece holds a lock of the server on it, which ends with the process: nothing has to be taken back from one
that died. Trials, which have to be drawn before they can be run, are shared by `trials.py`.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any

from cogorch_dagster.settings import Settings
from cogorch_dagster.tuning.objective import Interrupted
from cogorch_dagster.tuning.trials import Trials
from cogorch_dagster.tuning.workers import POLL_S, share

# The trial's number, and the name of the note.
Piece = tuple[int, str]


def finish(
    settings: Settings,
    trials: Trials,
    task: Sequence[str],
    *,
    left: Callable[[], Sequence[Piece]],
    do: Callable[[Piece], Any],
    workers: int,
    stop: Callable[[], bool],
) -> None:
    """Do pieces and note what they come to until nothing is left, with other processes or alone.

    Args:
        trials: through which the pieces are taken; not closed here.
        task: the same work, as `worker.py` has it.
        left: what has to be noted next, by the notes that there are now; called again and again.
        do: what a piece comes to, as JSON; of one worker, else the others do it.
        workers: processes of this machine; 1 is this one.
        stop: asked while others are at all that is left.

    Raises:
        objective.Interrupted: `stop` said so; what was noted is kept.
        Unavailable: PostgreSQL cannot be reached, or all workers died.
        What `do` raises.
    """
    if workers > 1 and left():
        share(settings, trials.study.name, task, workers, look=lambda: not left(), stop=stop)
    while pieces := left():
        piece = next((each for each in pieces if trials.claim(*each)), None)
        if piece is not None:
            trials.note(*piece, do(piece))
        elif stop():
            raise Interrupted
        else:
            time.sleep(POLL_S)
