"""One worker thread behind a bounded queue: where a model server's real queueing and its metered cost come from."""

import asyncio
import queue
import threading
import time
from dataclasses import dataclass

from cogorch_dagster.lab.models import TrainedModel


@dataclass(frozen=True)
class Answer:
    """A classification with its meter readings: waiting and CPU time in ms, cost in USD."""

    label: int
    queue_ms: float
    compute_ms: float
    cost_usd: float


class QueueFull(Exception):
    """As many requests wait as the server is willing to hold."""


@dataclass(frozen=True)
class _Job:
    pixels: list[float]
    enqueued: float
    loop: asyncio.AbstractEventLoop
    answer: "asyncio.Future[Answer]"


class MeteredWorker:
    """Answers one request at a time, in order of arrival.

    Args:
        capacity: requests that may wait; at least 1.
    """

    def __init__(self, model: TrainedModel, capacity: int) -> None:
        self._model = model
        self._jobs: queue.Queue[_Job] = queue.Queue(maxsize=capacity)
        self.answered = 0
        threading.Thread(target=self._work, name="model", daemon=True).start()

    @property
    def waiting(self) -> int:
        return self._jobs.qsize()

    async def ask(self, pixels: list[float]) -> Answer:
        """Wait for the worker's answer to one image.

        Raises:
            QueueFull: the queue is at its capacity; nothing was computed.
        """
        loop = asyncio.get_running_loop()
        job = _Job(pixels, time.perf_counter(), loop, loop.create_future())
        try:
            self._jobs.put_nowait(job)
        except queue.Full:
            raise QueueFull from None
        return await job.answer

    def _work(self) -> None:
        while True:
            job = self._jobs.get()
            started, metered = time.perf_counter(), time.thread_time()
            try:
                label = self._model.answer(job.pixels)
            except Exception as error:  # the request fails, the worker serves on
                job.loop.call_soon_threadsafe(_fail, job.answer, error)
                continue
            seconds = time.thread_time() - metered
            answer = Answer(
                label=label,
                queue_ms=(started - job.enqueued) * 1e3,
                compute_ms=seconds * 1e3,
                cost_usd=seconds * self._model.spec.usd_per_compute_second,
            )
            self.answered += 1
            job.loop.call_soon_threadsafe(_resolve, job.answer, answer)


def _resolve(future: "asyncio.Future[Answer]", answer: Answer) -> None:
    if not future.done():
        future.set_result(answer)


def _fail(future: "asyncio.Future[Answer]", error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
