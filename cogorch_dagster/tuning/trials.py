"""The trials of a study, over its journal: take one, finish it, read them all; safe with any number of processes.

A trial is taken by a worker that is alive. When the worker dies, the trial is taken over as it is, by whoever asks
next: its number and its parameters stay, so nothing is lost and nothing is tried twice.
"""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.settings import Settings
from cogorch_dagster.tuning.journal import Found, Journal
from cogorch_dagster.tuning.objective import Measured, Score
from cogorch_dagster.tuning.sampling import optuna_sampler, proposal
from cogorch_dagster.tuning.study import Objective, Study

if TYPE_CHECKING:
    import optuna
    from optuna.trial import FrozenTrial

State = Literal["running", "complete", "failed", "waiting"]

# After that many workers died over a trial, it fails.
MOST_ATTEMPTS = 3


@dataclass(frozen=True)
class Trial:
    """One trial as it stands.

    Attributes:
        number: from 0, in the order in which they were begun.
        params: complete, as they would be proposed.
        worker: who runs it or ran it last.
        attempts: workers that have begun it.
        values: of the study's objectives, None unless complete.
        mean: normalised return, None unless complete.
        conflicts: per step beside the study's companions, None without any, and unless complete.
        inference_ms: None unless complete.
        steps: of single fleets, trained.
        seconds: from the beginning to the end of the last attempt.
        error: of a failed one.
    """

    number: int
    state: State
    params: dict[str, Any]
    worker: str | None = None
    attempts: int = 1
    values: tuple[float, ...] | None = None
    mean: float | None = None
    conflicts: float | None = None
    inference_ms: float | None = None
    steps: int = 0
    seconds: float | None = None
    error: str | None = None


class Trials:
    """A study's trials, as one worker takes part in them.

    Args:
        worker: a name that no other process has; None: only to read.
    """

    def __init__(self, settings: Settings, study: Study, worker: str | None = None) -> None:
        self.study, self.worker = study, worker
        self._journal = Journal(settings, study.name, worker)
        self._optuna: optuna.Study | None = None

    def take(self, most: int) -> Trial | Literal["wait"] | None:
        """A trial to run: one whose worker died, else a new one while there are fewer than `most`.

        Returns:
            The trial; `wait` while there is nothing to take but others are still at work, and one may die; None at the
            end.

        Raises:
            As `Journal.transaction`.
        """
        return self._whole(lambda study: self._take(study, most))

    def finish(self, number: int, score: Score, found: Sequence[Measured], seconds: float) -> bool:
        """Record what a trial came to; False where it is no longer this worker's.

        Raises:
            As `take`. InvalidInput: an objective of the study was not measured.
        """
        values = [_value(score, objective) for objective in self.study.plan.objectives]
        notes = {"score": asdict(score), "measured": [asdict(each) for each in found], "seconds": seconds}
        return self._whole(lambda study: self._end(study, number, values, notes))

    def fail(self, number: int, error: str, seconds: float) -> bool:
        """Record that a trial failed, with `journal.error_text`; False where it is no longer this worker's."""
        notes = {"error": error, "seconds": seconds}
        return self._whole(lambda study: self._end(study, number, None, notes))

    def all(self) -> list[Trial]:
        """As they stand now, in order."""
        return [self._trial(each) for each in self.optuna_study().get_trials(deepcopy=False)]

    def best(self) -> Trial | None:
        """The complete trial of the highest score, the earliest of equals."""
        done = [each for each in self.all() if each.values is not None]
        return max(done, key=lambda each: (each.values or (0.0,))[0], default=None)

    def pareto(self) -> list[Trial]:
        """The complete trials that no other one surpasses in every objective, in order."""
        return [self._trial(each) for each in sorted(self.optuna_study().best_trials, key=lambda each: each.number)]

    def optuna_study(self) -> "optuna.Study":
        """The study as Optuna has it, for what reads one."""
        if self._optuna is None:
            self._optuna = self._opened()
        return self._optuna

    def close(self) -> None:
        """Give the connection back; what this worker runs may be taken over from now on."""
        self._journal.close()
        self._optuna = None

    def _whole(self, act: "Callable[[optuna.Study], Found]") -> Found:
        return self._journal.whole(lambda: act(self.optuna_study()), forget=self._forget, ready=self.optuna_study)

    def _forget(self) -> None:
        self._optuna = None

    def _opened(self) -> "optuna.Study":
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        direction = optuna.study.StudyDirection
        directions = [
            direction.MAXIMIZE if each == "reward" else direction.MINIMIZE for each in self.study.plan.objectives
        ]
        with warnings.catch_warnings(action="ignore", category=optuna.exceptions.ExperimentalWarning):
            storage = optuna.storages.JournalStorage(self._journal)  # type: ignore[arg-type]
        if not storage.get_all_studies():
            with self._journal.transaction():
                if not storage.get_all_studies():
                    optuna.create_study(storage=storage, study_name=self.study.name, directions=directions)
        return optuna.load_study(storage=storage, study_name=self.study.name, sampler=optuna.samplers.RandomSampler(0))

    def _take(self, study: "optuna.Study", most: int) -> Trial | Literal["wait"] | None:
        trials = study.get_trials(deepcopy=False)
        running = [each for each in trials if each.state.name == "RUNNING"]
        orphan = self._orphan(study, running)
        if orphan is not None:
            return orphan
        if len(trials) < most:
            return self._begun(study, trials)
        return "wait" if running else None

    def _orphan(self, study: "optuna.Study", running: "list[FrozenTrial]") -> Trial | None:
        # One of its own it has begun without learning of it, or was interrupted in.
        mine = [each for each in running if each.user_attrs["worker"] == self.worker]
        if mine:
            return self._trial(mine[0])
        alive = self._journal.alive({each.user_attrs["worker"] for each in running})
        for each in running:
            if each.user_attrs["worker"] in alive:
                continue
            attempts = each.user_attrs["attempts"]
            if attempts >= MOST_ATTEMPTS:
                notes = {"error": f"its worker died {attempts} times"}
                self._noted(study, each, notes)
                study.tell(each.number, state=_state("FAIL"))
                continue
            self._noted(study, each, {"worker": self.worker, "attempts": attempts + 1})
            return self._trial(study._storage.get_trial(each._trial_id))
        return None

    def _begun(self, study: "optuna.Study", trials: "list[FrozenTrial]") -> Trial:
        import optuna

        plan, number = self.study.plan, len(trials)
        notes: dict[str, Any] = {"worker": self.worker, "attempts": 1}
        if number == 0:
            # What is in force comes first: whatever is found is compared with it from the start.
            study.enqueue_trial(plan.space.internal(plan.current))
        elif (found := proposal(plan.sampler, plan.space, plan.seed, number, trials)) is not None:
            study.enqueue_trial(found.internal)
            notes |= found.notes
        with warnings.catch_warnings(action="ignore", category=optuna.exceptions.ExperimentalWarning):
            study.sampler = optuna_sampler(plan.sampler, plan.seed, number, study.sampler)
        asked = study.ask(plan.space.distributions())
        notes["params"] = plan.current if number == 0 else plan.space.of_internal(asked.params)
        for name, value in notes.items():
            asked.set_user_attr(name, value)
        return Trial(number, "running", notes["params"], self.worker)

    def _end(self, study: "optuna.Study", number: int, values: list[float] | None, notes: dict[str, Any]) -> bool:
        trial = study.get_trials(deepcopy=False)[number]
        if trial.user_attrs["worker"] != self.worker or trial.state.name != "RUNNING":
            # Its own may have been recorded by the call that lost the connection.
            return bool(trial.user_attrs["worker"] == self.worker)
        self._noted(study, trial, notes)
        study.tell(number, values, state=_state("FAIL") if values is None else None)
        return True

    def _noted(self, study: "optuna.Study", trial: "FrozenTrial", notes: dict[str, Any]) -> None:
        for name, value in notes.items():
            study._storage.set_trial_user_attr(trial._trial_id, name, value)

    def _trial(self, frozen: "FrozenTrial") -> Trial:
        states: dict[str, State] = {"RUNNING": "running", "COMPLETE": "complete", "WAITING": "waiting"}
        notes = frozen.user_attrs
        score = notes.get("score", {})
        return Trial(
            number=frozen.number,
            state=states.get(frozen.state.name, "failed"),
            params=notes.get("params", {}),
            worker=notes.get("worker"),
            attempts=notes.get("attempts", 0),
            values=None if frozen.values is None else tuple(frozen.values),
            mean=score.get("mean"),
            conflicts=score.get("conflicts"),
            inference_ms=score.get("inference_ms"),
            steps=score.get("steps", 0),
            seconds=notes.get("seconds"),
            error=notes.get("error"),
        )


def _value(score: Score, objective: Objective) -> float:
    # Below a microsecond a time is noise, which would put trials on the Pareto front.
    latency = round(score.inference_ms, 3)
    value = {"reward": score.value, "conflicts": score.conflicts, "latency": latency}[objective]
    if value is None:
        raise InvalidInput(f"the objective {objective} was not measured; conflicts need companions to act beside")
    return value


def _state(name: str) -> Any:
    from optuna.trial import TrialState

    return TrialState[name]
