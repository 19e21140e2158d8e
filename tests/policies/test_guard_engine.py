"""The process in which rules are evaluated: its bounds, its answers to many callers, and that it ends with them."""

import multiprocessing
import os
import re
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest

from cogorch_dagster.policies.guards.engine import Engine, EngineFailure

CAP = 'package guard\n\ndeny contains sprintf("%s at %v", [a, w]) if { some a, w in input.weights; w > CAP }\n'

EXPENSIVE = {
    "statements": 'deny contains "x" if { n := numbers.range(1, 99999); some a in n; some b in n; a == -b }',
    "a built-in": 'deny contains "x" if count(numbers.range(1, 1000000000)) == 7',
    "doubling": 'deny contains "x" if {\n  x0 := "aaaaaaaaaaaaaaaa"\n'
    + "".join(f'  x{n + 1} := concat("", [x{n}, x{n}])\n' for n in range(34))
    + "  count(x34) == 7\n}",
    "nesting": 'deny contains "x" if { x := ' + "[" * 9000 + "]" * 9000 + "; x == 1 }",
}


@pytest.fixture
def engine() -> Iterator[Engine]:
    own = Engine()
    yield own
    own.close()


def worker() -> list[psutil.Process]:
    return [each for each in psutil.Process().children() if any("worker.py" in word for word in each.cmdline())]


@pytest.mark.parametrize("body", EXPENSIVE.values(), ids=EXPENSIVE)
def test_an_expensive_rule_is_ended_and_the_next_one_answers(engine: Engine, body: str) -> None:
    begun = time.monotonic()
    bounds = r"more than 512 MB|ended without an answer|no answer within|Maximum statement count"
    with pytest.raises(EngineFailure, match=bounds):
        engine.deny(f"package guard\n\n{body}\n", "{}")
    assert time.monotonic() - begun < 40
    assert engine.deny(CAP.replace("CAP", "0.9"), '{"weights": {"a": 1}}') == ["a at 1"]


def test_threads_get_their_own_answers(engine: Engine) -> None:
    rules = [CAP.replace("CAP", str(number)) for number in range(8)]

    def ask(number: int) -> bool:
        weight = number % 16
        said = engine.deny(rules[number % 8], f'{{"weights": {{"arm{number}": {weight}}}}}')
        return said == ([f"arm{number} at {weight}"] if weight > number % 8 else [])

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(ask, range(400)))


def test_a_warm_check_takes_less_than_five_milliseconds(engine: Engine) -> None:
    source, document = CAP.replace("CAP", "0.9"), '{"weights": {"a": 0.95, "b": 0.05}}'
    taken = []
    for _ in range(200):
        begun = time.perf_counter()
        assert engine.deny(source, document) == ["a at 0.95"]
        taken.append(time.perf_counter() - begun)
    assert statistics.median(taken) < 0.005


def test_undefined_is_no_objection_and_null_is_no_answer(engine: Engine) -> None:
    assert engine.deny('package guard\n\ndeny := "x" if input.a\n', "{}") is None
    with pytest.raises(EngineFailure, match="deny is null"):
        engine.deny("package guard\n\ndeny := input.a\n", '{"a": null}')
    with pytest.raises(EngineFailure, match=r"Invalid|unclosed"):
        engine.deny("package guard\n\ndeny := {\n", "{}")


def test_a_process_that_was_killed_is_replaced(engine: Engine) -> None:
    source = CAP.replace("CAP", "0.9")
    before = {each.pid for each in worker()}
    engine.deny(source, "{}")
    (first,) = [each for each in worker() if each.pid not in before]
    first.kill()
    first.wait(10)
    assert engine.deny(source, '{"weights": {"a": 1}}') == ["a at 1"]


def _asked(engine: Engine, answers: "multiprocessing.SimpleQueue[object]") -> None:
    answers.put(engine.deny(CAP.replace("CAP", "0.5"), '{"weights": {"a": 0.6}}'))


def test_a_fork_asks_a_process_of_its_own(engine: Engine) -> None:
    engine.deny(CAP.replace("CAP", "0.9"), "{}")
    context = multiprocessing.get_context("fork")
    answers = context.SimpleQueue()
    child = context.Process(target=_asked, args=(engine, answers))
    child.start()
    assert answers.get() == ["a at 0.6"]
    child.join(30)
    assert child.exitcode == 0
    assert engine.deny(CAP.replace("CAP", "0.9"), '{"weights": {"a": 1}}') == ["a at 1"]


def test_the_process_ends_with_its_caller() -> None:
    program = (
        "import time\nfrom cogorch_dagster.policies.guards.engine import ENGINE\n"
        "ENGINE.compile('package guard')\nprint(ENGINE._process.pid, flush=True)\ntime.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as caller:
        assert caller.stdout is not None
        pid = int(re.fullmatch(r"(\d+)\n", caller.stdout.readline())[1])  # type: ignore[index]
        os.kill(caller.pid, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline
        time.sleep(0.05)
