"""The store of checkpoints: a row always names a whole file, and what is in use is never cleared away."""

import subprocess
import sys
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa
from psycopg.errors import RestrictViolation

from cogorch_dagster.agents import checkpoints, store
from cogorch_dagster.agents.checkpoints import Checkpoint
from cogorch_dagster.errors import InvalidInput, Refused, Unavailable
from cogorch_dagster.platform import database
from cogorch_dagster.platform.tables import agent_checkpoints
from cogorch_dagster.settings import Settings
from tests.agents.saved import BASE

SMALL = replace(BASE, parts={"x": np.arange(4)})


def later(number: int, agent: str = "policy", calibration: str = "sha256:c") -> Checkpoint:
    moment = BASE.created_at + timedelta(minutes=number)
    return replace(SMALL, agent=agent, steps=number, calibration=calibration, created_at=moment)


def files(settings: Settings) -> set[str]:
    return {str(path.relative_to(settings.lake_root)) for path in Path(settings.lake_root).rglob("*") if path.is_file()}


def test_what_was_saved_is_found_and_loaded(settings: Settings) -> None:
    stored = store.save(settings, SMALL, run_id="run-1")
    assert store.get(settings, stored.digest) == stored
    assert stored.digest == checkpoints.digest(checkpoints.pack(SMALL))
    assert stored.path == f"checkpoints/policy/{stored.digest.removeprefix('sha256:')}.safetensors"
    assert (stored.agent, stored.algorithm, stored.calibration) == ("policy", "dqn", SMALL.calibration)
    assert (stored.steps, stored.created_at, stored.run_id) == (1000, SMALL.created_at, "run-1")
    assert (stored.metrics, stored.configuration) == (SMALL.metrics, SMALL.configuration)
    assert stored.bytes == Path(settings.lake_root, stored.path).stat().st_size
    loaded = store.load(settings, stored)
    assert loaded.parts["x"].tolist() == [0, 1, 2, 3]
    checkpoints.require_compatible(
        loaded, agent="policy", algorithm="dqn", configuration=SMALL.configuration, states=32, actions=10
    )


def test_saving_again_changes_nothing_and_heals_a_damaged_file(settings: Settings) -> None:
    stored = store.save(settings, SMALL, run_id="first")
    file = Path(settings.lake_root, stored.path)
    whole = file.read_bytes()
    file.write_bytes(whole[:-1])
    assert store.save(settings, SMALL, run_id="second") == stored
    assert file.read_bytes() == whole
    assert len(store.listing(settings)) == 1


def test_the_newest_of_an_agent_and_a_calibration(settings: Settings) -> None:
    assert store.latest(settings, "policy") is None
    for checkpoint in (later(3), later(1), later(2, calibration="sha256:d"), later(9, agent="ethical")):
        store.save(settings, checkpoint)
    found = [store.latest(settings, "policy", calibration) for calibration in (None, "sha256:c", "sha256:d", "none")]
    assert [stored and stored.steps for stored in found] == [3, 3, 2, None]
    assert [stored.steps for stored in store.listing(settings)] == [9, 3, 2, 1]
    assert [stored.steps for stored in store.listing(settings, "policy", limit=2)] == [3, 2]
    assert [stored.steps for stored in store.listing(settings, calibration="sha256:d")] == [2]


def test_an_unknown_digest_is_refused(settings: Settings) -> None:
    for act in (store.get, store.remove):
        with pytest.raises(Refused, match="there is no checkpoint sha256:0") as raised:
            act(settings, "sha256:0")
        assert raised.value.reason == "unknown_checkpoint"


def test_a_missing_changed_or_exchanged_file_is_one_error_with_the_remedy(settings: Settings) -> None:
    stored = store.save(settings, SMALL)
    file = Path(settings.lake_root, stored.path)
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    cases = [
        (bytes(content), "damaged_checkpoint", "it is damaged or cut off"),
        (checkpoints.pack(later(5)), "damaged_checkpoint", "it is another checkpoint"),
        (None, "missing_checkpoint", "is gone"),
    ]
    for found, reason, message in cases:
        if found is None:
            file.unlink()
        else:
            file.write_bytes(found)
        with pytest.raises(Refused, match=message) as raised:
            store.load(settings, stored)
        assert raised.value.reason == reason
        assert stored.digest in str(raised.value)
        assert f"Restore {file} from a backup, or remove" in str(raised.value)


def test_a_lake_that_cannot_be_read_is_said_to_be_so(settings: Settings) -> None:
    stored = store.save(settings, SMALL)
    file = Path(settings.lake_root, stored.path)
    file.unlink()
    file.mkdir()
    with pytest.raises(Unavailable, match="Check the lake"):
        store.load(settings, stored)


def test_rows_are_never_changed(settings: Settings) -> None:
    store.save(settings, SMALL)
    with (
        pytest.raises(sa.exc.IntegrityError, match="is immutable; save another one") as raised,
        database.transaction(settings) as connection,
    ):
        connection.execute(sa.update(agent_checkpoints).values(steps=1))
    assert isinstance(raised.value.orig, RestrictViolation)


def test_pruning_keeps_the_newest_and_what_is_in_use(settings: Settings) -> None:
    saved = [store.save(settings, later(number)) for number in range(5)]
    other = store.save(settings, later(0, agent="ethical"))
    pruned = store.prune(settings, keep=2, in_use=[saved[0].digest])
    assert pruned == store.Pruned(checkpoints=2, files=2)
    kept = [saved[0], saved[3], saved[4], other]
    assert {stored.digest for stored in store.listing(settings)} == {stored.digest for stored in kept}
    assert files(settings) == {stored.path for stored in kept}
    for stored in kept:
        store.load(settings, stored)
    assert store.prune(settings, keep=2, in_use=[saved[0].digest]) == store.Pruned(0, 0)


def test_pruning_clears_what_no_row_names(settings: Settings) -> None:
    stored, removed = store.save(settings, later(1)), store.save(settings, later(2))
    store.remove(settings, removed.digest)
    folder = Path(settings.lake_root, "checkpoints")
    (folder / "policy" / ".x.safetensors.0.partial").write_bytes(b"half")
    (folder / "resource").mkdir()
    (folder / "resource" / "nobody.safetensors").write_bytes(b"whole")
    Path(settings.lake_root, "rewards").mkdir()
    Path(settings.lake_root, "rewards", "other.parquet").write_bytes(b"not ours")
    assert store.prune(settings, keep=1) == store.Pruned(checkpoints=0, files=3)
    assert files(settings) == {stored.path, "rewards/other.parquet"}


def test_pruning_everything_is_refused(settings: Settings) -> None:
    with pytest.raises(InvalidInput, match="keep is 0"):
        store.prune(settings, keep=0)


def test_a_lake_elsewhere_holds_checkpoints_too(settings: Settings, tmp_path: Path) -> None:
    remote = settings.model_copy(update={"lake": f"memory://{tmp_path.name}"})
    old, new = store.save(remote, later(1)), store.save(remote, later(2))
    assert store.load(remote, new).steps == 2
    assert store.prune(remote, keep=1) == store.Pruned(checkpoints=1, files=1)
    assert store.load(remote, new).steps == 2
    with pytest.raises(Refused, match="is gone"):
        store.load(remote, old)
    assert not Path(settings.lake_root).exists()


SAVER = """
import sys
from cogorch_dagster.agents import checkpoints, store
from cogorch_dagster.settings import Settings

checkpoint = checkpoints.read(sys.argv[1])
settings = Settings(_env_file=None)
sys.stdin.readline()
for _ in range(6):
    print(store.save(settings, checkpoint, run_id=sys.argv[2]).run_id, flush=True)
"""


def test_two_processes_save_the_same_checkpoint_at_once_while_a_third_clears_away(
    settings: Settings, tmp_path: Path
) -> None:
    path = tmp_path / "agent.safetensors"
    digest = checkpoints.write(path, SMALL)
    pipe = subprocess.PIPE
    savers = [
        subprocess.Popen([sys.executable, "-c", SAVER, str(path), name], stdin=pipe, stdout=pipe, text=True)
        for name in ("one", "two")
    ]
    for saver in savers:
        assert saver.stdin is not None
        saver.stdin.write("go\n")
        saver.stdin.flush()
    while any(saver.poll() is None for saver in savers):
        store.prune(settings, keep=1)
        time.sleep(0.01)
    answers = [saver.communicate(timeout=60)[0].split() for saver in savers]
    assert [saver.returncode for saver in savers] == [0, 0]
    assert [len(answer) for answer in answers] == [6, 6]
    assert len({*answers[0], *answers[1]}) == 1  # Whoever was first is in the row, for both.
    (stored,) = store.listing(settings)
    assert stored.digest == digest
    assert files(settings) == {stored.path}
    assert store.load(settings, stored).parts["x"].tolist() == [0, 1, 2, 3]
