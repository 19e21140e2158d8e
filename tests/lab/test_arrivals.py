"""The schedule of a load: exactly repeatable, of the asked rate, and honest about traces."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.lab.arrivals import TENANTS, schedule

IMAGES = 899


@given(rate=st.floats(0.5, 500), count=st.integers(1, 300), seed=st.integers(0, 2**32))
def test_the_same_seed_gives_the_same_load(rate: float, count: int, seed: int) -> None:
    arrivals = schedule(rate, count, seed, IMAGES)
    assert arrivals == schedule(rate, count, seed, IMAGES)
    assert len(arrivals) == count
    times = [arrival.at_s for arrival in arrivals]
    assert times == sorted(times) and times[0] > 0
    assert all(0 <= arrival.image < IMAGES and arrival.tenant in TENANTS for arrival in arrivals)


def test_another_seed_gives_another_load() -> None:
    assert schedule(30, 100, 1, IMAGES) != schedule(30, 100, 2, IMAGES)


def test_poisson_gaps_have_the_mean_and_the_spread_of_their_rate() -> None:
    gaps = np.diff([0.0, *(arrival.at_s for arrival in schedule(40, 20_000, 5, IMAGES))])
    assert gaps.mean() == pytest.approx(1 / 40, rel=0.03)
    # An exponential gap is as spread as it is long; a metronome has no spread.
    assert gaps.std() == pytest.approx(1 / 40, rel=0.05)


def test_tenants_send_their_shares() -> None:
    tenants = [arrival.tenant for arrival in schedule(40, 20_000, 5, IMAGES)]
    for tenant, share in TENANTS.items():
        assert tenants.count(tenant) / len(tenants) == pytest.approx(share, abs=0.02)


def test_a_trace_keeps_its_pattern_at_the_asked_rate(tmp_path: Path) -> None:
    trace = tmp_path / "trace.csv"
    stamps = ["2023-11-16 18:17:00.0000000", "2023-11-16 18:17:01.0000000", "2023-11-16 18:17:04.5000000"]
    trace.write_text("TIMESTAMP,ContextTokens\n" + "".join(f"{stamp},1\n" for stamp in [*stamps, stamps[-1]]))
    traced = schedule(2.0, 3, 9, IMAGES, trace)
    assert [arrival.at_s for arrival in traced] == pytest.approx([0.0, 1.5 / 4.5, 1.5])
    # What is asked does not depend on when: Poisson and traced loads of one seed compare.
    assert [(a.image, a.tenant) for a in traced] == [(a.image, a.tenant) for a in schedule(2.0, 3, 9, IMAGES)]
    with pytest.raises(InvalidInput, match="has 4 requests; the load asks for 5"):
        schedule(2.0, 5, 9, IMAGES, trace)


def test_the_azure_trace_is_burstier_than_poisson(realdata: Path) -> None:
    traced = schedule(35, 1500, 7, IMAGES, realdata / "azure_llm" / "AzureLLMInferenceTrace_conv.csv")
    assert traced[-1].at_s == pytest.approx(1500 / 35)
    gaps = np.diff([arrival.at_s for arrival in traced])
    assert gaps.min() >= 0 and gaps.std() > gaps.mean()


@pytest.mark.parametrize(("rate", "count"), [(0, 10), (-1, 10), (20_000, 10), (float("nan"), 10), (10, 0), (10, 10**7)])
def test_loads_out_of_bounds_are_refused(rate: float, count: int) -> None:
    with pytest.raises(InvalidInput, match=r"must be"):
        schedule(rate, count, 0, IMAGES)


def test_a_file_without_times_is_refused(tmp_path: Path) -> None:
    trace = tmp_path / "trace.csv"
    trace.write_text("when\n1\n")
    with pytest.raises(InvalidInput, match="TIMESTAMP"):
        schedule(10, 1, 0, IMAGES, trace)
    with pytest.raises(InvalidInput, match="nowhere"):
        schedule(10, 1, 0, IMAGES, tmp_path / "nowhere.csv")
