"""Pieces of work that processes share: each done once, in whatever phases, whoever dies over it."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cogorch_dagster.settings import Settings
from cogorch_dagster.tuning.objective import Interrupted
from cogorch_dagster.tuning.search import run
from cogorch_dagster.tuning.sharing import Piece, finish
from cogorch_dagster.tuning.study import Study
from cogorch_dagster.tuning.trials import Trials
from tests.tuning.forks import forked
from tests.tuning.tiny import begun, bowl

# The second phase is not open before the first is done.
PHASES = ([f"first {place}" for place in range(6)], [f"second {place}" for place in range(5)])
EVERY = [name for phase in PHASES for name in phase]


@contextmanager
def opened(settings: Settings, study: Study) -> Iterator[Trials]:
    trials = Trials(settings, study)
    try:
        yield trials
    finally:
        trials.close()


def ready(settings: Settings) -> Study:
    """A study with a trial to note with."""
    study = begun(settings)
    assert run(settings, study, 1, objective=bowl).ended
    return study


def finished(
    settings: Settings,
    study: Study,
    do: Callable[[Piece], object],
    stop: Callable[[], bool] = lambda: False,
) -> None:
    with opened(settings, study) as trials:

        def left() -> list[Piece]:
            notes = trials.notes(0)
            open_ = ([(0, name) for name in phase if name not in notes] for phase in PHASES)
            return next((phase for phase in open_ if phase), [])

        finish(settings, trials, (), left=left, do=do, workers=1, stop=stop)


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_processes_do_each_piece_once_and_phase_after_phase(settings: Settings, tmp_path: Path) -> None:
    study, made = ready(settings), tmp_path / "made"

    def do(piece: Piece) -> int:
        with made.open("a") as file:
            file.write(f"{os.getpid()} {piece[1]}\n")
        time.sleep(0.05)
        return os.getpid()

    children = [forked(lambda: finished(settings, study, do)) for _ in range(3)]
    for child in children:
        child.join(60)
    assert [child.exitcode for child in children] == [0, 0, 0]
    lines = [line.split(" ", 1) for line in made.read_text().splitlines()]
    assert sorted(name for _, name in lines) == sorted(EVERY)
    assert {name for _, name in lines[: len(PHASES[0])]} == set(PHASES[0])
    assert len({pid for pid, _ in lines}) > 1
    with opened(settings, study) as trials:
        assert trials.notes(0) == {name: int(pid) for pid, name in lines}


def test_what_a_killed_process_was_at_is_done_by_another(settings: Settings, tmp_path: Path) -> None:
    study, begun_, made = ready(settings), tmp_path / "begun", list[str]()

    def last(piece: Piece) -> int:
        if piece[1] == EVERY[-1]:
            begun_.touch()
            time.sleep(600)
        return 1

    child = forked(lambda: finished(settings, study, last))
    try:
        until(begun_.exists)
        with pytest.raises(Interrupted):
            # Left to the one that is at it, as long as that lives.
            finished(settings, study, lambda piece: pytest.fail(str(piece)), stop=lambda: True)
    finally:
        os.kill(child.pid or 0, signal.SIGKILL)
        child.join(60)

    def do(piece: Piece) -> int:
        made.append(piece[1])
        return 2

    finished(settings, study, do)
    assert made == EVERY[-1:]
    with opened(settings, study) as trials:
        assert list(trials.notes(0).values()) == [1] * (len(EVERY) - 1) + [2]


def test_what_is_noted_is_not_taken_also_where_its_process_is_gone(settings: Settings) -> None:
    study = ready(settings)
    with opened(settings, study) as trials, opened(settings, study) as others:
        assert trials.claim(0, "a") and not others.claim(0, "a")
        assert others.claim(0, "b") and not trials.claim(0, "b")
        trials.note(0, "a", 1)
        trials.close()
        assert not others.claim(0, "a")
        others.close()
        assert trials.claim(0, "b"), "closed without a note, it is free"


def test_an_error_leaves_the_piece_to_others(settings: Settings) -> None:
    study = ready(settings)

    def broken(piece: Piece) -> int:
        if piece[1] == EVERY[2]:
            raise ValueError("no luck")
        return 1

    with pytest.raises(ValueError, match="no luck"):
        finished(settings, study, broken)
    made: list[str] = []
    finished(settings, study, lambda piece: made.append(piece[1]))
    assert made == EVERY[2:]
