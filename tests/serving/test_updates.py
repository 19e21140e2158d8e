"""History, pending and statistics of updates are what the life cycle and the processes wrote."""

import time

import pytest

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.platform.database import transaction
from cogorch_dagster.policies import decisions, drafts
from cogorch_dagster.serving import updates
from cogorch_dagster.serving.reload import Reload
from cogorch_dagster.serving.reports import Reports
from cogorch_dagster.serving.update import STARTED, refusals
from cogorch_dagster.settings import Settings
from tests.serving.hyperparameters import into_force, plant, seeded_params
from tests.serving.test_watching import earn


def acknowledged(settings: Settings, process: str, *answers: Reload) -> None:
    with Reports(settings, process) as reports:
        for each in answers:
            reports.acknowledge(each)
        assert reports.flush(20)


def test_history_pending_and_statistics(settings: Settings) -> None:
    plant(settings)
    acknowledged(settings, "x", Reload("agent-policy", "1.0.0", True, STARTED, 0))
    earn(settings, 0.9, 3, seconds=-60)
    first = into_force(settings, "policy", learningRate=6e-4)
    time.sleep(0.05)
    acknowledged(settings, "x", Reload("agent-policy", first.version, True, None, 7))
    acknowledged(settings, "y", Reload("agent-policy", first.version, False, "too new", 9))
    # The same process, started again: it reloaded nothing.
    acknowledged(settings, "x", Reload("agent-policy", first.version, True, STARTED, 20))
    earn(settings, 0.8, 4)
    with transaction(settings) as connection:
        params = seeded_params("policy") | {"learningRate": 5e-4}
        draft = drafts.propose_version(connection, "agent-policy", params, actor="bob")
        waiting = drafts.propose_version(
            connection, "agent-ethical", seeded_params("ethical") | {"clip": 0.25}, actor="bob"
        )
        decisions.approve(connection, "agent-ethical", waiting.version, "ada", "good")
    with transaction(settings) as connection:
        found = updates.document(connection)
        newest, oldest = updates.history(connection, "policy")
        with pytest.raises(InvalidInput, match="pilot"):
            updates.history(connection, "pilot")
    assert len(found["history"]) == 5 and found["history"][0] == newest
    assert (newest.ref, newest.previous, newest.action) == (f"agent-policy@{first.version}", "1.0.0", "approve")
    assert (newest.decided_by, newest.reason, newest.activated_at) != (None, None, None)
    taken, refused, restarted = newest.acknowledgements
    assert (taken.process, taken.accepted, taken.steps) == ("x", True, 7)
    assert taken.latency_ms is not None and 50 <= taken.latency_ms < 20_000
    assert (refused.accepted, refused.reason) == (False, "too new")
    assert restarted.latency_ms is None and not newest.mostly_refused
    assert (newest.before.windows, newest.after.windows) == (3, 4)
    assert newest.before.mean == pytest.approx(0.9, abs=0.02) and newest.after.mean == pytest.approx(0.8, abs=0.02)
    assert [each.latency_ms for each in oldest.acknowledgements] == [None]
    states = [(each.policy_id, each.version, each.status) for each in found["pending"]]
    assert states == [("agent-policy", draft.version, "draft"), ("agent-ethical", waiting.version, "approved")]
    numbers = found["statistics"]
    # Who found a version at a start is not counted, and x, which ran when it came, counts once.
    assert (numbers.accepted, numbers.refused, numbers.acceptance) == (1, 1, 0.5)
    assert (newest.taken_over, newest.refused, oldest.taken_over) == (1, 1, 1)
    assert numbers.median_ms == numbers.p99_ms == taken.latency_ms
    assert numbers.versions == {"active": 4, "archived": 1, "draft": 1, "approved": 1}
    assert (numbers.rollbacks, numbers.automatic) == (0, 0)


def test_a_process_that_is_started_again_counts_once_by_its_last_answer(settings: Settings) -> None:
    plant(settings)
    version = into_force(settings, "ethical", hidden=[64, 32]).version
    refused = Reload("agent-ethical", version, False, "other layers", 3)
    acknowledged(settings, "x", refused)
    for steps in (5, 7, 9):
        acknowledged(settings, "x", Reload("agent-ethical", version, False, f"{STARTED}: other layers", steps))
    acknowledged(settings, "y", refused)
    acknowledged(settings, "late", Reload("agent-ethical", version, False, f"{STARTED}: other layers", 0))
    with transaction(settings) as connection:
        (newest, _), numbers = updates.history(connection, "ethical"), updates.statistics(connection, "ethical")
    assert len(newest.acknowledgements) == 6 and [each.latency_ms is None for each in newest.acknowledgements] == [
        *(False, True, True, True),
        *(False, True),
    ]
    assert (newest.taken_over, newest.refused, newest.mostly_refused) == (0, 3, True)
    assert refusals(newest.acknowledgements) == {"other layers": 3}
    assert (numbers.accepted, numbers.refused, numbers.acceptance) == (0, 2, 0.0)
    # Trained anew, x begins with these layers.
    acknowledged(settings, "x", Reload("agent-ethical", version, True, STARTED, 0))
    with transaction(settings) as connection:
        newest, _ = updates.history(connection, "ethical")
    assert (newest.taken_over, newest.refused) == (1, 2)
    assert refusals(newest.acknowledgements) == {"other layers": 2}
