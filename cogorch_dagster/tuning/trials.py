"""The trials of a study, over its journal: take one, finish it, read them all; safe with any number of processes.

A trial is taken by a worker that is alive. When the worker dies, the trial is taken over as it is, by whoever asks
next: its number and its parameters stay, so nothing is lost and nothing is tried twice.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from operator import le
from typing import TYPE_CHECKING, Any, Literal

from cogorch_dagster.errors import InvalidInput, Unavailable
from cogorch_dagster.settings import Settings
from cogorch_dagster.tuning.ended import Ended
from cogorch_dagster.tuning.journal import Found, Journal
from cogorch_dagster.tuning.replay import Replay
from cogorch_dagster.tuning.sampling import optuna_sampler, proposal
from cogorch_dagster.tuning.study import Study

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
    """A study's trials, as one worker takes part in them; for one thread.

    Args:
        worker: a name that no other process has; None: only to read, to note and to claim notes.
    """

    def __init__(self, settings: Settings, study: Study, worker: str | None = None) -> None:
        self.study, self.worker = study, worker
        self._journal = Journal(settings, study.name, worker)
        self._replay: Replay | None = None
        self._ended: dict[int, Trial] = {}

    @property
    def ended(self) -> dict[int, Trial]:
        """By number those that have ended as of the last call, in the order in which this process learned of it."""
        replay = self._opened()
        for number in replay.ended[len(self._ended) :]:
            self._ended[number] = _trial(replay.trials[number])
        return self._ended

    def take(self, most: int, after: Ended | None = None) -> Trial | Literal["wait"] | None:
        """A trial to run: one whose worker died, else a new one while there are fewer than `most`.

        Args:
            after: what the trial came to that this worker ran before, recorded by the same transaction, as each waits
                for the disk; alone where no trial can be taken for an error.

        Returns:
            The trial; `wait` while there is nothing to take but others are still at work, and one may die; None at the
            end.

        Raises:
            As `Journal.transaction`.
        """

        def act() -> Trial | Literal["wait"] | None:
            if after is not None:
                self._end(after)
            return self._take(most)

        try:
            return self._whole(act)
        except Unavailable:
            raise
        except Exception:
            if after is not None:
                self.end(after)
            raise

    def end(self, ended: Ended) -> bool:
        """Record what a trial came to; False where it is no longer this worker's.

        Raises:
            As `take`.
        """
        return self._whole(lambda: self._end(ended))

    def refresh(self) -> None:
        """Read what was added since the last call.

        Raises:
            Unavailable: the server cannot be reached.
        """
        self._opened().read()

    def all(self) -> list[Trial]:
        """As they stand now, in order."""
        self.refresh()
        ended = self.ended
        return [ended.get(each.number) or _trial(each) for each in self._opened().trials]

    def best(self) -> Trial | None:
        """The complete trial of the highest score, the earliest of equals."""
        done = [each for each in self.all() if each.values is not None]
        return max(done, key=lambda each: (each.values or (0.0,))[0], default=None)

    def pareto(self) -> list[Trial]:
        """The complete trials that no other one surpasses in every objective, in order."""
        signs = [-1 if each == "reward" else 1 for each in self.study.plan.objectives]
        costs = {
            each.number: tuple(sign * value for sign, value in zip(signs, each.values, strict=True))
            for each in self.all()
            if each.values is not None
        }
        front: list[int] = []
        # In this order nothing that comes later surpasses what came before.
        for number in sorted(costs, key=lambda each: costs[each]):
            cost = costs[number]
            if not any(costs[each] != cost and all(map(le, costs[each], cost)) for each in front):
                front.append(number)
        return [self.ended[number] for number in sorted(front)]

    def note(self, number: int, name: str, value: Any) -> Any:
        """Add something found later to a trial that has ended; what is recorded under a name first stays.

        Args:
            value: JSON, no NaN.

        Returns:
            The value that stands: this one, or the one that was there.

        Raises:
            As `take`. InvalidInput: there is no such trial, or it has not ended.
        """
        return self._whole(lambda: self._with_note(number, name, value))

    def claim(self, number: int, name: str) -> bool:
        """Whether a note is neither recorded nor claimed by a process that lives; then this one has it until `close`.

        Who loses the connection meanwhile loses the claim too; then whichever of two records first stands.

        Raises:
            Unavailable: the server cannot be reached.
        """
        return self._journal.hold(f"{number}:{name}") and name not in self.notes(number)

    def notes(self, number: int) -> dict[str, Any]:
        """What `note` has recorded for a trial by now, by name, in the order in which it was."""
        self.refresh()
        return _notes(self._opened(), number)

    def optuna_study(self) -> "optuna.Study":
        """The study as Optuna has it, as it stands now, for what reads one."""
        self.refresh()
        return self._opened().study

    def close(self) -> None:
        """Give the connection back; what this worker runs may be taken over from now on."""
        self._journal.close()
        self._forget()

    def _whole(self, act: Callable[[], Found]) -> Found:
        def up_to_date() -> Found:
            self._opened().read()
            return act()

        return self._journal.whole(up_to_date, forget=self._forget, ready=self._opened)

    def _forget(self) -> None:
        self._replay, self._ended = None, {}

    def _opened(self) -> Replay:
        if self._replay is None:
            maximised = [each == "reward" for each in self.study.plan.objectives]
            self._replay = Replay(self._journal, self.study.name, maximised)
        return self._replay

    def _take(self, most: int) -> Trial | Literal["wait"] | None:
        replay = self._opened()
        running = [replay.trials[number] for number in replay.open if replay.trials[number].state.name == "RUNNING"]
        orphan = self._orphan(running)
        if orphan is not None:
            return orphan
        if len(replay.trials) < most:
            return self._begun(replay)
        return "wait" if running else None

    def _orphan(self, running: "list[FrozenTrial]") -> Trial | None:
        # One of its own it has begun without learning of it, or was interrupted in.
        mine = [each for each in running if each.user_attrs["worker"] == self.worker]
        if mine:
            return _trial(mine[0])
        replay, alive = self._opened(), self._journal.alive({each.user_attrs["worker"] for each in running})
        for each in running:
            if each.user_attrs["worker"] in alive:
                continue
            attempts = each.user_attrs["attempts"]
            if attempts >= MOST_ATTEMPTS:
                replay.note(each.number, {"error": f"its worker died {attempts} times"})
                replay.end(each.number, None)
                continue
            return _trial(replay.note(each.number, {"worker": self.worker, "attempts": attempts + 1}))
        return None

    def _begun(self, replay: Replay) -> Trial:
        import optuna

        plan, number = self.study.plan, len(replay.trials)
        distributions = plan.space.distributions()
        notes: dict[str, Any] = {"worker": self.worker, "attempts": 1}
        if number == 0:
            # What is in force comes first: whatever is found is compared with it from the start.
            notes["params"] = plan.current
            return _trial(replay.begin(plan.space.internal(plan.current), distributions, notes))
        if (found := proposal(plan.sampler, plan.space, plan.seed, number, replay.trials)) is not None:
            notes |= {**found.notes, "params": plan.space.of_internal(found.internal)}
            return _trial(replay.begin(found.internal, distributions, notes))
        with warnings.catch_warnings(action="ignore", category=optuna.exceptions.ExperimentalWarning):
            sampler = optuna_sampler(plan.sampler, plan.seed, number)
        asked = replay.ask(sampler, distributions)
        return _trial(replay.note(number, {**notes, "params": plan.space.of_internal(asked.params)}))

    def _end(self, ended: Ended) -> bool:
        replay = self._opened()
        trial = replay.trials[ended.number]
        mine = bool(trial.user_attrs["worker"] == self.worker)
        # Else the call that lost the connection may have recorded its own.
        if mine and trial.state.name == "RUNNING":
            replay.note(ended.number, ended.notes)
            replay.end(ended.number, ended.values)
        return mine

    def _with_note(self, number: int, name: str, value: Any) -> Any:
        replay = self._opened()
        if not 0 <= number < len(replay.trials) or not replay.trials[number].state.is_finished():
            raise InvalidInput(f"trial {number} of study {self.study.name} has not ended; note of one that has")
        # Of the study, as Optuna lets nothing be added to a trial that has ended.
        before = _notes(replay, number)
        if name in before:
            return before[name]
        replay.note_of_study(f"{number}:{name}", value)
        return value


def _notes(replay: Replay, number: int) -> dict[str, Any]:
    own = f"{number}:"
    return {name.removeprefix(own): value for name, value in replay.notes.items() if name.startswith(own)}


def _trial(frozen: "FrozenTrial") -> Trial:
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
