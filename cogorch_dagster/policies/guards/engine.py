"""Evaluates Rego in a process of its own, bounded in time and memory.

regopy keeps its compiled rules in that process, by the digest of their source. It bounds statements (ten million,
about ten seconds) but neither time nor memory, and one call of a built-in can ask for gigabytes; a process can be
ended. Calls from several threads take turns.
"""

import atexit
import json
import os
import select
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import psutil

from cogorch_dagster.policies.guards.worker import CPU_SECONDS

MAX_BYTES = 512_000_000
"""Memory in use by the engine's process."""
WALL_SECONDS = 10.0
"""Until the answer, however busy the machine is."""
_INTERVAL = 0.02


class EngineFailure(Exception):
    """A rule that gave no answer: it failed, or was ended at a bound. The caller decides what that means."""


class Engine:
    """One process that compiles and evaluates rules; started with the first call, and again after it was ended."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = 0

    def compile(self, source: str) -> dict[str, Any]:
        """`problems` ([{line, message}]) and, when there are none, the `plan` of a rule.

        Raises:
            EngineFailure: the compiler was ended at a bound.
        """
        return self._ask(source, None)

    def deny(self, source: str, document: str) -> object:
        """The value of `deny` for an input document (JSON); None when it is undefined.

        Raises:
            EngineFailure: the rule failed, or was ended at a bound.
        """
        answer = self._ask(source, document)
        if not answer["defined"]:
            return None
        value: object = answer["value"]
        if value is None:
            raise EngineFailure("deny is null")
        return value

    def close(self) -> None:
        """End the process, if there is one of ours."""
        with self._lock:
            self._end()

    def _ask(self, source: str, document: str | None) -> dict[str, Any]:
        request = json.dumps({"source": source, "input": document}).encode() + b"\n"
        with self._lock:
            process = self._running()
            try:
                answer: dict[str, Any] = json.loads(self._exchange(process, request))
            except (OSError, ValueError) as error:
                self._end()
                raise EngineFailure(
                    f"the engine ended without an answer (it may use {CPU_SECONDS} s of CPU for one)"
                ) from error
            except BaseException:
                # The answer to a call that was given up must not be taken for that to the next.
                self._end()
                raise
        if "error" in answer:
            raise EngineFailure(answer["error"])
        return answer

    def _exchange(self, process: "subprocess.Popen[bytes]", request: bytes) -> bytes:
        if process.stdin is None or process.stdout is None:
            raise RuntimeError("the engine's process was started without pipes")
        process.stdin.write(request)
        process.stdin.flush()
        deadline = time.monotonic() + WALL_SECONDS
        while not select.select([process.stdout], [], [], _INTERVAL)[0]:
            if time.monotonic() > deadline:
                raise EngineFailure(f"no answer within {WALL_SECONDS:g} s")
            if _memory(process) > MAX_BYTES:
                raise EngineFailure(f"the rule used more than {MAX_BYTES // 1_000_000} MB of memory")
        return process.stdout.readline()

    def _running(self) -> "subprocess.Popen[bytes]":
        if self._process is not None and self._owner != os.getpid():
            # Inherited by a fork: the process and its pipes belong to the parent.
            self._process = None
        if self._process is not None and self._process.poll() is not None:
            self._end()
        if self._process is None:
            program = [sys.executable, "-I", str(Path(__file__).with_name("worker.py"))]
            self._process = subprocess.Popen(
                program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            )
            self._owner = os.getpid()
        return self._process

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None or self._owner != os.getpid():
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except OSError:
                    # What was left in the buffer has no reader any more.
                    continue


def _memory(process: "subprocess.Popen[bytes]") -> int:
    try:
        used: int = psutil.Process(process.pid).memory_info().rss
    except psutil.Error:
        return 0
    return used


ENGINE = Engine()
"""The engine of this process."""

atexit.register(ENGINE.close)
