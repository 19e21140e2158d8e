"""The open-loop load: each request leaves at its scheduled time, however many are still unanswered.

A closed loop would wait for slow answers and so spare a slow system; here latency counts from the scheduled time
(coordinated omission: Tene 2013).
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import httpx
import numpy as np

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.lab import digits
from cogorch_dagster.lab.arrivals import Arrival, schedule

ANSWER_TIMEOUT_S = 30.0
PROGRESS_EVERY_S = 1.0


@dataclass(frozen=True)
class LoadProgress:
    """Where a running load stands."""

    count: int
    sent: int
    ok: int
    failed: int
    elapsed_s: float


@dataclass(frozen=True)
class LoadReport:
    """What came of a load. Latencies in ms from the scheduled time, over answered requests; NaN when there are none.

    Attributes:
        ok: answered with a digit, right or wrong.
        failed: no answer: the router's error, or none within 30 s.
        accuracy: share of right answers among `ok`.
        by_model, by_version: answered requests per model and per policy version.
        feedback_failed: judgements that the router did not take.
        late_ms: 95th percentile of how late the generator itself sent, a check on it.
    """

    sent: int
    ok: int
    failed: int
    p50_ms: float
    p95_ms: float
    accuracy: float
    by_model: dict[str, int]
    by_version: dict[str, int]
    feedback_failed: int
    late_ms: float
    started_at: datetime
    finished_at: datetime


ProgressCallback = Callable[[LoadProgress], None]


def run(
    router_url: str,
    *,
    rate: float,
    count: int,
    seed: int,
    trace: Path | None = None,
    progress: ProgressCallback | None = None,
) -> LoadReport:
    """Send a load and judge every answer; the same seed sends the same images at the same times.

    Ctrl-C ends it at once: open requests are cancelled and `KeyboardInterrupt` goes on to the caller.

    Args:
        rate: mean requests per second.
        trace: CSV of arrival times, see `arrivals.schedule`; Poisson arrivals without it.
        progress: called about once a second and at the end.

    Raises:
        InvalidInput: an argument out of range.
    """
    _, images = digits.split()
    arrivals = schedule(rate, count, seed, len(images), trace)
    return asyncio.run(drive(router_url, arrivals, images, progress))


@dataclass
class _Tally:
    """What the requests of one load have come to so far."""

    sent: int = 0
    failed: int = 0
    right: int = 0
    feedback_failed: int = 0
    latencies_ms: list[float] = field(default_factory=list)
    late_ms: list[float] = field(default_factory=list)
    by_model: Counter[str] = field(default_factory=Counter)
    by_version: Counter[str] = field(default_factory=Counter)


async def drive(
    router_url: str, arrivals: list[Arrival], images: digits.Images, progress: ProgressCallback | None = None
) -> LoadReport:
    """`run` inside an event loop, with arrivals made before."""
    if not arrivals:
        raise InvalidInput("A load needs at least one arrival.")
    tally = _Tally()
    started_at, begin = datetime.now(UTC), time.perf_counter()

    def report_progress() -> None:
        if progress is not None:
            elapsed = time.perf_counter() - begin
            progress(LoadProgress(len(arrivals), tally.sent, len(tally.latencies_ms), tally.failed, elapsed))

    unlimited = httpx.Limits(max_connections=None, max_keepalive_connections=64)
    async with (
        httpx.AsyncClient(base_url=router_url, timeout=ANSWER_TIMEOUT_S, limits=unlimited, trust_env=False) as http,
        # Leaving the group waits for every request; an exception, and so Ctrl-C, cancels them all.
        asyncio.TaskGroup() as requests,
    ):
        ticker = asyncio.create_task(_tick(report_progress))
        try:
            for arrival in arrivals:
                due = begin + arrival.at_s
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                tally.sent += 1
                requests.create_task(_ask(http, arrival, images, due, tally))
        finally:
            ticker.cancel()
    report_progress()
    answered = len(tally.latencies_ms)
    p50, p95 = np.percentile(tally.latencies_ms, [50, 95]) if answered else (np.nan, np.nan)
    return LoadReport(
        sent=tally.sent,
        ok=answered,
        failed=tally.failed,
        p50_ms=float(p50),
        p95_ms=float(p95),
        accuracy=tally.right / answered if answered else float("nan"),
        by_model=dict(sorted(tally.by_model.items())),
        by_version=dict(sorted(tally.by_version.items())),
        feedback_failed=tally.feedback_failed,
        late_ms=float(np.percentile(tally.late_ms, 95)),
        started_at=started_at,
        finished_at=datetime.now(UTC),
    )


async def _ask(http: httpx.AsyncClient, arrival: Arrival, images: digits.Images, due: float, tally: _Tally) -> None:
    """Send one image, then tell the router whether its answer was right."""
    tally.late_ms.append((time.perf_counter() - due) * 1e3)
    question = {"pixels": images.pixels[arrival.image].tolist(), "tenant": arrival.tenant}
    try:
        response = await http.post("/v1/classify", json=question)
        latency_ms = (time.perf_counter() - due) * 1e3
        response.raise_for_status()
        answer = response.json()
        right = int(answer["label"]) == int(images.labels[arrival.image])
    except (httpx.HTTPError, ValueError, KeyError):
        tally.failed += 1
        return
    tally.latencies_ms.append(latency_ms)
    tally.right += right
    tally.by_model[answer["model"]] += 1
    tally.by_version[answer["policy_version"]] += 1
    try:
        judgement = {"request_id": answer["request_id"], "correct": int(right)}
        (await http.post("/feedback", json=judgement)).raise_for_status()
    except httpx.HTTPError:
        tally.feedback_failed += 1


async def _tick(report_progress: Callable[[], None]) -> None:
    while True:
        await asyncio.sleep(PROGRESS_EVERY_S)
        report_progress()
