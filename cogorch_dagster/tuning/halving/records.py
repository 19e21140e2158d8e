"""What a study's entries say of its trials, read in order; entries are JSON objects whose `op` says what happened.

Who may add one is `ledger.py`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.tuning.halving.rungs import Status, Trial


@dataclass
class Record:
    """All that is known of a trial.

    Attributes:
        number: of the trial.
        values: its parameters.
        scores, figures, seconds: at each rung that it reached: the score, other figures, and how long the way took.
        status: as of `rungs.Trial`.
        worker: who has it, or had it last.
        error: why it failed.
        deaths: workers that died with it.
    """

    number: int
    values: dict[str, Any]
    worker: str
    status: Status = "running"
    scores: list[float] = field(default_factory=list)
    figures: list[dict[str, float]] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    error: str | None = None
    deaths: int = 0

    @property
    def trial(self) -> Trial:
        """What the scheduler needs to know."""
        return Trial(self.number, tuple(self.scores), self.status)


def best(records: Sequence[Record]) -> Record | None:
    """The trial of the highest score at the highest rung that any has reached, the earliest of equals."""
    there = [record for record in records if record.scores]
    return max(there, key=lambda each: (len(each.scores), each.scores[-1], -each.number), default=None)


def apply(records: list[Record], entry: Mapping[str, Any]) -> None:
    """Take the next entry in.

    Raises:
        InvalidInput: it is none of a halving study, or does not follow from those before it.
    """
    op, number = entry.get("op"), entry.get("trial")
    if op == "begin" and number == len(records):
        records.append(Record(number, dict(entry["values"]), entry["worker"]))
        return
    record = records[number] if isinstance(number, int) and 0 <= number < len(records) else None
    follows = {"promote": "paused", "again": "running", "reached": "running", "failed": "running"}
    if record is None or op not in follows or record.status != follows[op]:
        raise InvalidInput(f"entry {dict(entry)!r:.200} does not follow from those before it; the journal is damaged")
    if op == "reached":
        record.scores.append(entry["score"])
        record.figures.append(dict(entry["figures"]))
        record.seconds.append(entry["seconds"])
        record.status = "paused"
    elif op == "failed":
        record.status, record.error = "failed", entry["error"]
    else:
        record.status, record.worker = "running", entry["worker"]
        record.deaths += op == "again"
