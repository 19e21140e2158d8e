"""The trials that follow from a study's journal, as Optuna's journal storage replays them, and the entries for more.

Entries are made by Optuna's storage alone, through the calls that every storage of it has, so the journal stays one
that its tools open. What is left out are its conveniences around them (enqueue, ask, tell), which copy and look through
all trials several times for each. What a trial means to us is `trials.py`.
"""

import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cogorch_dagster.tuning.journal import Entry, Journal

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.samplers import BaseSampler
    from optuna.storages import BaseStorage
    from optuna.trial import FrozenTrial


class Replay:
    """One study's trials, over its journal; for one thread. It knows what it has read and what it has added itself.

    Args:
        journal: of this study alone.
        name: of the study.
        maximised: by objective whether it is to be high; the study is made where the journal is empty.

    Attributes:
        trials: as of the last reading, in order; for reading only.
        open: numbers of those that have not ended, in order.
        ended: numbers of the others, in the order in which it learned of their end.

    Raises:
        As `Journal.transaction`.
    """

    def __init__(self, journal: Journal, name: str, maximised: Sequence[bool]) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.trials: list[FrozenTrial] = []
        self.open: list[int] = []
        self.ended: list[int] = []
        self._entries = _Fetched(journal)
        self._entries.fetch()
        with warnings.catch_warnings(action="ignore", category=optuna.exceptions.ExperimentalWarning):
            self._storage: BaseStorage = optuna.storages.JournalStorage(self._entries)  # type: ignore[arg-type]
        if not self._storage.get_all_studies():
            with journal.transaction():
                self._entries.fetch()
                if not self._storage.get_all_studies():
                    high, low = optuna.study.StudyDirection.MAXIMIZE, optuna.study.StudyDirection.MINIMIZE
                    self._storage.create_new_study([high if each else low for each in maximised], name)
        self._id = self._storage.get_study_id_from_name(name)
        self.study = optuna.load_study(storage=self._storage, study_name=name, sampler=optuna.samplers.RandomSampler(0))
        self._learn()

    @property
    def notes(self) -> dict[str, Any]:
        """Of the study, by name, as of the last reading."""
        return self._storage.get_study_user_attrs(self._id)

    def read(self) -> None:
        """Read what was added since; at the cost of that alone.

        Raises:
            As `Journal.read_logs`.
        """
        self._entries.fetch()
        self._learn()

    def begin(
        self, held: Mapping[str, Any], distributions: "Mapping[str, BaseDistribution]", notes: Mapping[str, Any]
    ) -> "FrozenTrial":
        """Add a trial that runs, by a single entry.

        Args:
            held: what it holds for each of the distributions.
        """
        import optuna

        running = optuna.trial.create_trial(
            state=optuna.trial.TrialState.RUNNING,
            params=dict(held),
            distributions=dict(distributions),
            user_attrs=dict(notes),
        )
        self._storage.create_new_trial(self._id, running)
        self._learn()
        return self.trials[-1]

    def ask(self, sampler: "BaseSampler", distributions: "Mapping[str, BaseDistribution]") -> "FrozenTrial":
        """Add a trial that runs, with what a sampler of Optuna's draws."""
        self.study.sampler = sampler
        self.study.ask(dict(distributions))
        self._learn()
        return self.trials[-1]

    def note(self, number: int, notes: Mapping[str, Any]) -> "FrozenTrial":
        """Add to the notes of a trial that has not ended; later ones of a name count."""
        for name, value in notes.items():
            self._storage.set_trial_user_attr(self._id_of(number), name, value)
        self._learn()
        return self.trials[number]

    def end(self, number: int, values: Sequence[float] | None) -> None:
        """End a trial that runs: complete, or failed where it has no values."""
        from optuna.trial import TrialState

        state = TrialState.FAIL if values is None else TrialState.COMPLETE
        self._storage.set_trial_state_values(self._id_of(number), state, values)
        self._learn()

    def note_of_study(self, name: str, value: Any) -> None:
        """Add a note of the study, or replace it."""
        self._storage.set_study_user_attr(self._id, name, value)

    def _learn(self) -> None:
        """Look at those trials alone that may have changed, and for new ones: the cost does not grow with the study."""
        for number in self.open:
            self.trials[number] = self._storage.get_trial(self._id_of(number))
        first = len(self.trials)
        while (found := self._new()) is not None:
            self.trials.append(found)
        still_open: list[int] = []
        for number in (*self.open, *range(first, len(self.trials))):
            (self.ended if self.trials[number].state.is_finished() else still_open).append(number)
        self.open = still_open

    def _new(self) -> "FrozenTrial | None":
        try:
            return self._storage.get_trial(self._id_of(len(self.trials)))
        except KeyError:
            return None

    def _id_of(self, number: int) -> int:
        return self._storage.get_trial_id_from_study_id_trial_number(self._id, number)


class _Fetched:
    """A journal as the storage reads it: only what was fetched, so that its many calls cost no round trip each."""

    def __init__(self, journal: Journal) -> None:
        self._journal, self._base = journal, 0
        self._entries: list[Entry] = []

    def fetch(self) -> None:
        self._entries += self._journal.read_logs(self._base + len(self._entries))

    def read_logs(self, log_number_from: int) -> list[Entry]:
        # What is before has been replayed, and is never asked for again.
        del self._entries[: log_number_from - self._base]
        self._base = log_number_from
        return list(self._entries)

    def append_logs(self, logs: list[Entry]) -> None:
        self._journal.append_logs(logs)
        self.fetch()
