"""Data sets are kept as they are, found again by their digest, and cleared away only when nothing names them."""

from dataclasses import replace

import numpy as np
import pytest

from cogorch_dagster.causal.versions import datasets
from cogorch_dagster.errors import InvalidInput, Refused
from cogorch_dagster.lake import blobs
from cogorch_dagster.platform.database import transaction
from cogorch_dagster.settings import Settings
from tests.causal.samples import autoscaled


def test_what_is_packed_comes_back_to_the_bit() -> None:
    values = autoscaled(40).values.copy()
    values[3, 2] = np.nan
    given = replace(autoscaled(40), values=values)
    found = datasets.unpack(datasets.pack(given))
    assert found.digest == given.digest
    assert np.array_equal(found.values, given.values, equal_nan=True)
    assert (found.since, found.until, found.set_aside) == (given.since, given.until, given.set_aside)
    assert datasets.pack(given) == datasets.pack(found)


def test_a_file_of_something_else_is_refused() -> None:
    with pytest.raises(InvalidInput, match="not the file of a data set"):
        datasets.unpack(b"PAR1 but not really")


def test_saved_twice_is_one_row_and_a_damaged_file_is_found(settings: Settings) -> None:
    given = autoscaled(40)
    stored = datasets.save(settings, given)
    assert datasets.save(settings, given) == stored
    assert datasets.load(settings, given.digest).digest == given.digest
    url = f"{settings.lake_root}/{stored.path}"
    content = bytearray(blobs.read(url))
    content[len(content) // 3] ^= 1
    blobs.write(url, bytes(content))
    with pytest.raises(Refused, match=r"not what was saved|holds another data set"):
        datasets.load(settings, given.digest)
    datasets.save(settings, given)
    assert datasets.load(settings, given.digest).digest == given.digest
    blobs.delete(url)
    with pytest.raises(Refused, match="is gone"):
        datasets.load(settings, given.digest)


def test_the_newest_stays_and_files_without_a_row_go(settings: Settings) -> None:
    for seed in range(3):
        datasets.save(settings, autoscaled(40, seed))
    newest = datasets.save(settings, autoscaled(40, 7))
    blobs.write(f"{settings.lake_root}/{datasets.FOLDER}/left.parquet", b"by a killed writer")
    assert datasets.prune(settings, newest=1) == 3 + 4
    with transaction(settings) as connection:
        assert datasets.latest(connection) == [newest]
    assert datasets.load(settings, newest.digest).rows == 40
    with pytest.raises(Refused, match="there is no data set"):
        datasets.load(settings, autoscaled(40, 0).digest)
    with pytest.raises(InvalidInput, match="newest is 0"):
        datasets.prune(settings, newest=0)
