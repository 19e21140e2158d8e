"""When requests arrive, about which image and for whom: decided before the load begins, so that it can be repeated."""

import csv
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cogorch_dagster.errors import InvalidInput

# Share of the requests that each tenant sends.
TENANTS = {"atlas": 0.5, "borealis": 0.3, "cygnus": 0.2}
MAX_COUNT = 1_000_000


@dataclass(frozen=True)
class Arrival:
    """One request: seconds after the load's begin, index of the held-out image, tenant."""

    at_s: float
    image: int
    tenant: str


def schedule(rate: float, count: int, seed: int, images: int, trace: Path | None = None) -> list[Arrival]:
    """The arrivals of a load, the same for the same arguments.

    Args:
        rate: mean requests per second over the whole load, above 0.
        count: requests, 1 to 1,000,000.
        images: held-out images to ask about, drawn with replacement.
        trace: CSV with a column TIMESTAMP (as the Azure LLM inference traces have it); its first `count` gaps are
            taken, all scaled by one factor so that the mean rate is `rate`. Without it arrivals are a Poisson process.

    Raises:
        InvalidInput: an argument out of range, or a trace that is too short or not readable.
    """
    if not 0 < rate <= 10_000:
        raise InvalidInput(f"rate is {rate}; it must be above 0 and at most 10000 requests a second.")
    if not 1 <= count <= MAX_COUNT:
        raise InvalidInput(f"count is {count}; it must be 1 to {MAX_COUNT}.")
    generator = np.random.default_rng(seed)
    # Each quantity has a stream of its own: the images are the same whether arrivals are Poisson or traced.
    gaps, chosen, tenants = generator.spawn(3)
    times = np.cumsum(gaps.exponential(1 / rate, count)) if trace is None else _traced(trace, rate, count)
    pictures = chosen.integers(images, size=count)
    names = tenants.choice(list(TENANTS), size=count, p=list(TENANTS.values()))
    return [
        Arrival(float(at), int(image), str(tenant)) for at, image, tenant in zip(times, pictures, names, strict=True)
    ]


def _traced(trace: Path, rate: float, count: int) -> NDArray[np.float64]:
    try:
        with trace.open(newline="") as file:
            stamps = [_seconds(row["TIMESTAMP"]) for row in islice(csv.DictReader(file), count)]
    except (OSError, KeyError, ValueError) as error:
        raise InvalidInput(f"{trace} is no trace with a column TIMESTAMP: {error!r}.") from error
    if len(stamps) < count:
        raise InvalidInput(f"{trace} has {len(stamps)} requests; the load asks for {count}.")
    elapsed = np.sort(np.asarray(stamps)) - min(stamps)
    return np.asarray(elapsed * (count / rate / elapsed[-1]) if elapsed[-1] > 0 else elapsed)


def _seconds(stamp: str) -> float:
    # The traces give seven decimals of a second, one more than Python reads.
    whole, _, fraction = stamp.strip().partition(".")
    moment = datetime.fromisoformat(whole)
    return (moment - datetime(1970, 1, 1, tzinfo=moment.tzinfo)).total_seconds() + float(f"0.{fraction or 0}")
