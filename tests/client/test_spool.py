"""The spool: in order, bounded, and readable after anything that a crash can do to it."""

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cogorch_dagster.client.spool import FEEDBACK, OBSERVATION, Spool

BOUND = 64 << 10


def row(number: int, size: int = 40) -> bytes:
    return b'{"n":%d,"pad":"%s"}' % (number, b"x" * size)


def numbers(rows: list[bytes]) -> list[int]:
    return [int(each.split(b":")[1].split(b",")[0]) for each in rows]


def drain(spool: Spool, most: int = 100) -> list[int]:
    found: list[int] = []
    while (batch := spool.read(most)) is not None:
        found += numbers(batch.observations)
        spool.acknowledge(batch)
    return found


def segments(folder: Path) -> list[Path]:
    return sorted(folder.glob("segment-*.jsonl"))


def test_rows_come_back_in_order_by_kind_and_leave_nothing_on_disk(tmp_path: Path) -> None:
    spool = Spool(tmp_path, BOUND)
    for number in range(500):
        spool.append(FEEDBACK if number % 5 == 0 else OBSERVATION, row(number))
    assert len(segments(tmp_path)) > 2
    observations: list[int] = []
    feedback: list[int] = []
    while (batch := spool.read(7)) is not None:
        assert batch.rows <= 7
        observations += numbers(batch.observations)
        feedback += numbers(batch.feedback)
        spool.acknowledge(batch)
    assert observations == [number for number in range(500) if number % 5]
    assert feedback == list(range(0, 500, 5))
    assert (spool.rows, spool.size) == (0, 0)
    spool.close()
    assert segments(tmp_path) == []


def test_what_is_not_acknowledged_is_read_again(tmp_path: Path) -> None:
    spool = Spool(tmp_path, BOUND)
    for number in range(10):
        spool.append(OBSERVATION, row(number))
    first = spool.read(4)
    assert first is not None and spool.read(4) == first
    spool.acknowledge(first)
    spool.close()
    again = Spool(tmp_path, BOUND)
    # The whole segment is delivered once more: at least once, never less.
    assert drain(again) == list(range(10))
    again.close()


def test_past_the_bound_the_oldest_rows_go_and_are_counted(tmp_path: Path) -> None:
    spool = Spool(tmp_path, BOUND)
    for number in range(3000):
        spool.append(OBSERVATION, row(number))
        assert spool.size <= BOUND
    on_disk = sum(path.stat().st_size for path in segments(tmp_path))
    assert on_disk == spool.size
    left = drain(spool)
    assert left == list(range(3000 - len(left), 3000))
    assert spool.dropped == 3000 - len(left) > 0
    spool.close()


def test_a_batch_that_was_dropped_while_it_was_on_its_way_counts_as_delivered(tmp_path: Path) -> None:
    spool = Spool(tmp_path, BOUND)
    for number in range(100):
        spool.append(OBSERVATION, row(number))
    batch = spool.read(50)
    assert batch is not None
    for number in range(100, 3000):
        spool.append(OBSERVATION, row(number))
    spool.acknowledge(batch)
    assert spool.dropped + 50 + len(drain(spool)) == 3000
    spool.close()


@pytest.mark.parametrize("damage", ["cut", "no newline", "flipped", "garbage after", "zeros after"])
def test_a_damaged_tail_costs_only_the_damaged_row(tmp_path: Path, damage: str) -> None:
    spool = Spool(tmp_path, BOUND)
    for number in range(20):
        spool.append(OBSERVATION, row(number))
    spool.close()
    path = segments(tmp_path)[0]
    data = path.read_bytes()
    path.write_bytes(
        {
            "cut": data[:-10],
            "no newline": data[:-1],
            "flipped": data[:-10] + b"?" + data[-9:],
            "garbage after": data + os.urandom(50).replace(b"\n", b""),
            "zeros after": data + bytes(4096),
        }[damage]
    )
    again = Spool(tmp_path, BOUND)
    again.append(OBSERVATION, row(20))
    found = drain(again)
    assert found in ([*range(19), 20], [*range(20), 20])
    assert again.corrupted == (0 if damage == "no newline" else 1)
    assert again.rows == 0
    again.close()


def test_a_segment_that_somebody_removed_is_counted_and_skipped(tmp_path: Path) -> None:
    spool = Spool(tmp_path, BOUND)
    for number in range(300):
        spool.append(OBSERVATION, row(number))
    segments(tmp_path)[0].unlink()
    left = drain(spool)
    assert left == list(range(300 - len(left), 300)) and spool.dropped == 300 - len(left) > 0
    spool.append(OBSERVATION, row(300))
    segments(tmp_path)[-1].unlink()
    assert drain(spool) == []
    spool.append(OBSERVATION, row(301))
    assert drain(spool) == [301]
    spool.close()


def test_a_directory_belongs_to_one_client(tmp_path: Path) -> None:
    spool = Spool(tmp_path, BOUND)
    with pytest.raises(RuntimeError, match="give each client its own directory"):
        Spool(tmp_path, BOUND)
    spool.close()
    Spool(tmp_path, BOUND).close()


def test_a_bound_that_holds_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least 65536"):
        Spool(tmp_path, 1000)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.integers(1, 60)),
        st.tuples(st.just("read"), st.integers(1, 50)),
        st.tuples(st.just("deliver"), st.integers(1, 50)),
        st.tuples(st.just("reopen"), st.just(0)),
    ),
    max_size=40,
)


@settings(max_examples=60, deadline=None)
@given(steps=STEPS, size=st.integers(0, 2000))
def test_every_row_is_delivered_in_order_at_least_once_or_counted_as_dropped(
    steps: list[tuple[str, int]], size: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        spool = Spool(Path(folder), BOUND)
        sent, dropped = 0, 0
        delivered: set[int] = set()
        for step, amount in steps:
            if step == "append":
                for _ in range(amount):
                    spool.append(OBSERVATION, row(sent, size))
                    sent += 1
            elif step == "reopen":
                dropped += spool.dropped
                spool.close()
                spool = Spool(Path(folder), BOUND)
            elif (batch := spool.read(amount)) is not None:
                found = numbers(batch.observations)
                assert found == list(range(found[0], found[0] + len(found)))
                if step == "deliver":
                    delivered |= set(found)
                    spool.acknowledge(batch)
        rest = drain(spool)
        assert rest == sorted(rest)
        dropped += spool.dropped
        delivered |= set(rest)
        spool.close()
        # After a crash delivered rows may be counted as dropped as well, never the other way round.
        assert sent - len(delivered) <= dropped
        assert dropped > 0 or delivered == set(range(sent))
