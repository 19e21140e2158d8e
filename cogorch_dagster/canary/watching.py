"""The loop that evaluates running ramps every few seconds; the service runs it beside what it serves.

In the service and not in Dagster: starting a run takes seconds, its queue may hold minutes of learning, and whoever
splits the traffic should be the one who takes it back. Dagster's sensor is the net beneath (`sensors/ramps.py`).
"""

import logging
import threading
import time

import sqlalchemy as sa

from cogorch_dagster.errors import CogorchError
from cogorch_dagster.platform.database import transaction
from cogorch_dagster.policies import ramps
from cogorch_dagster.settings import Settings

log = logging.getLogger("cogorch.canary")

INTERVAL_S = 2.0
"""Pause between two evaluations, seconds."""
LONGEST_SHARE = 0.2
"""An evaluation that takes long is followed by a pause in which it takes at most this share of the time."""
LONGEST_PAUSE_S = 20.0


def watch(settings: Settings, ended: threading.Event, interval_s: float = INTERVAL_S) -> None:
    """Evaluate until `ended` is set; an error is logged and the next evaluation tries again."""
    pause_s = interval_s
    while not ended.wait(pause_s):
        begun = time.monotonic()
        try:
            _evaluate(settings)
        except (CogorchError, sa.exc.SQLAlchemyError) as error:
            log.warning("ramps cannot be judged: %s", str(error).strip().partition("\n")[0])
        except Exception:
            # A judge that ends would leave the ramp unjudged; followers lose a canary that nobody judges.
            log.exception("a ramp could not be judged")
        took = time.monotonic() - begun
        pause_s = min(max(interval_s, took * (1 / LONGEST_SHARE - 1)), LONGEST_PAUSE_S)


def _evaluate(settings: Settings) -> None:
    with transaction(settings) as connection:
        if not ramps.all_running(connection):
            return
    # Only where a version ramps: pandas and the statistics take a second to load.
    from cogorch_dagster.canary import stepping

    for each in stepping.evaluate_all(settings):
        if each.move not in ("held", "overtaken"):
            log.info("%s %s at %.0f%%: %s", each.ramp.ref, each.move, 1e2 * each.ramp.share, each.verdict["reason"])
