"""The search for an agent's architecture: work on its study, judge the best at the top, keep the result.

Any number of processes, here or on other machines, may `search` the same study at once; each sees the same end. What a
study is belongs in `study.py`, how a worker works in `working.py`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from cogorch_dagster.errors import Refused
from cogorch_dagster.platform.database import transaction
from cogorch_dagster.policies import hyperparameters, ranges
from cogorch_dagster.policies.decisions import Decision
from cogorch_dagster.policies.store import PolicyVersion
from cogorch_dagster.settings import Settings
from cogorch_dagster.tuning import confirmation, proposing
from cogorch_dagster.tuning.confirmation import SEEDS, Confirmation
from cogorch_dagster.tuning.halving import records, report, shelf, study
from cogorch_dagster.tuning.halving.ledger import Ledger
from cogorch_dagster.tuning.halving.records import Record
from cogorch_dagster.tuning.halving.report import RungRow
from cogorch_dagster.tuning.halving.study import Study
from cogorch_dagster.tuning.halving.working import Progress, work
from cogorch_dagster.tuning.workers import worker_name


@dataclass(frozen=True)
class Outcome:
    """Where a study stands.

    Attributes:
        study: as stored.
        records: its trials, in order.
        rows: the table of its rungs.
        spent, budget: steps of single fleets, those of jobs in work included; evaluations are not counted.
        ended: whether there is nothing left to do for any worker.
    """

    study: Study
    records: list[Record]
    rows: list[RungRow]
    spent: int
    budget: int
    ended: bool

    @property
    def best(self) -> Record | None:
        """As `records.best`; None before any trial has reached a rung."""
        return records.best(self.records)

    @property
    def in_force_is_best(self) -> bool:
        """Whether nothing surpassed what is in force, so that there is nothing to confirm."""
        best, plan = self.best, self.study.plan
        return best is not None and confirmation.is_in_force(plan, plan.space.params(best.values))

    def picture(self) -> bytes:
        """PNG of the learning curves by rung."""
        return report.learning_curves(self.study.plan.rule.ladder, self.records, label="normalised return")


def search(
    settings: Settings,
    found: Study,
    *,
    progress: Callable[[Progress], None] | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> Outcome:
    """Work on a study until its budget is spent and no worker anywhere has a job of it left, or `stop` says so.

    Args:
        progress: called after each job of this worker.
        stop: asked between the steps of a training. What was being done is given to the next worker, from its last
            rung on.

    Raises:
        As `working.work`.
    """
    ledger = Ledger(settings, found.name, found.plan.rule, worker_name())
    try:
        work(settings, ledger, found.plan.trials, progress=progress, stop=stop)
        ledger.refresh()
        return _outcome(found, ledger)
    finally:
        ledger.close()


def standing(settings: Settings, found: Study) -> Outcome:
    """Where a study stands, without working on it; raises Unavailable where PostgreSQL cannot be reached."""
    ledger = Ledger(settings, found.name, found.plan.rule)
    try:
        ledger.refresh()
        return _outcome(found, ledger)
    finally:
        ledger.close()


def conclude(
    settings: Settings,
    outcome: Outcome,
    *,
    seeds: int = SEEDS,
    progress: Callable[[int, int], None] | None = None,
    stop: Callable[[], bool] | None = None,
) -> Study:
    """Train the best architecture and that in force on fresh seeds, store the result, delete the states of trials.

    What was stored of the same winner on as many seeds is not trained again. Where the best is what is in force,
    nothing is trained and no result stored.

    The result is the document of a `confirmation.Confirmation`, from which `proposing.propose` goes on, with `rungs`,
    `best` (how far the winner came), `spent`, `budget`, `trials`, `failed` and `violations`: what keeps the winner from
    being the next version at the level of strictness of the study's plan.

    Args:
        seeds, progress, stop: see `confirmation.confirm`.

    Raises:
        Refused: `not_ended`: there is work left. `no_winner`: no trial reached any rung. `training_diverged`: one of
            the two cannot be trained on a fresh seed.
        InvalidInput: too few or too many seeds. objective.Interrupted: `stop` said so; nothing is stored.
    """
    name, plan, best = outcome.study.name, outcome.study.plan, outcome.best
    if not outcome.ended:
        raise Refused("not_ended", f"study {name} has spent {outcome.spent} of {outcome.budget} steps; go on with it")
    if best is None:
        errors = {record.error for record in outcome.records}
        raise Refused(
            "no_winner", f"no trial of study {name} reached a rung; all failed: {'; '.join(map(str, errors))}"
        )
    params = plan.space.params(best.values)
    if outcome.in_force_is_best:
        shelf.delete(settings, name)
        return outcome.study
    confirmed = confirmation.confirmed(
        settings, outcome.study, best.number, params, seeds=seeds, progress=progress, stop=stop
    )
    with transaction(settings) as connection:
        ended = study.end(connection, name, confirmed.document() | _document(outcome, best, params))
    shelf.delete(settings, name)
    return ended


def _document(outcome: Outcome, best: Record, params: dict[str, Any]) -> dict[str, Any]:
    plan = outcome.study.plan
    kind = hyperparameters.AGENT_KINDS[plan.agent]
    return {
        "rungs": [row.document() for row in outcome.rows],
        "best": {"rung": len(best.scores) - 1, "scores": best.scores, "figures": best.figures[-1]},
        "spent": outcome.spent,
        "budget": outcome.budget,
        "trials": len(outcome.records),
        "failed": sum(record.status == "failed" for record in outcome.records),
        "violations": ranges.violations(kind, plan.current, params, plan.level),
    }


def _outcome(found: Study, ledger: Ledger) -> Outcome:
    rows = report.rung_rows(ledger.rule.ladder, ledger.records)
    return Outcome(found, list(ledger.records), rows, ledger.spent, ledger.rule.budget, ledger.done)


def propose(connection: sa.Connection, ended: Study, *, actor: str) -> tuple[PolicyVersion, Decision | None]:
    """Propose the architecture that a study found, and let the policy's mode decide, as `proposing.propose`.

    Raises:
        Refused: `not_ended`: the study has no result yet. Else as `proposing.propose`.
    """
    if ended.result is None:
        raise Refused("not_ended", f"study {ended.name} has no result yet; go on with it")
    return proposing.propose(connection, ended, Confirmation.from_document(ended.result), actor=actor)
