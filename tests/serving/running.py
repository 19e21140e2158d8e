"""A process of agents as a thread of the test, with everything that it told."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from cogorch_dagster.serving.beginning import Beginning
from cogorch_dagster.serving.process import Options, Served, serve
from cogorch_dagster.serving.reload import Reload
from cogorch_dagster.settings import Settings
from tests.serving.hyperparameters import FLEET


@dataclass
class Running:
    """What a thread has told so far, and what it came to."""

    began: list[Beginning] = field(default_factory=list)
    told: list[Reload] = field(default_factory=list)
    served: Served | None = None
    error: BaseException | None = None
    stop: threading.Event = field(default_factory=threading.Event)

    def until(self, condition: Callable[[], bool], seconds: float = 30) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert self.error is None, self.error
            assert time.monotonic() < deadline, f"not within {seconds} s: {self.told}"
            time.sleep(0.005)

    def told_of(self, version: str) -> Reload | None:
        return next((each for each in self.told if each.version == version), None)


@contextlib.contextmanager
def running_agents(settings: Settings, token: str, options: Options) -> Iterator[Running]:
    """Run agents in a thread until the block ends."""
    found = Running()

    def run() -> None:
        try:
            found.served = serve(
                settings,
                token,
                options,
                stop=found.stop.is_set,
                began=lambda beginning, _: found.began.append(beginning),
                told=found.told.append,
                parameters=FLEET,
            )
        except BaseException as error:
            found.error = error

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield found
    finally:
        found.stop.set()
        thread.join(60)
    assert not thread.is_alive()
