"""Processes of the lab: how one is started, says that it is ready, and ends with its parent.

A child reads its standard input, a pipe that only its parent holds: however the parent ends, even by SIGKILL, the
pipe closes and the child stops. This works whichever thread of the parent started the child, which
PR_SET_PDEATHSIG does not.
"""

import asyncio
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

import uvicorn
from fastapi import FastAPI

from cogorch_dagster.errors import Unavailable

HOST = "127.0.0.1"
GRACE_S = 5.0
# Each server is one core's worth of a machine; BLAS threads of several servers would fight for the same cores.
SINGLE_THREADED = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


@dataclass(frozen=True)
class Child:
    """A started process of the lab: `lifeline` is the pipe whose closing ends it, `output` its standard output."""

    name: str
    process: "subprocess.Popen[bytes]"
    lifeline: IO[bytes]
    output: IO[bytes]
    log: Path

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def alive(self) -> bool:
        return self.process.poll() is None


def spawn(name: str, module: str, arguments: Sequence[str], secrets: Mapping[str, str], log: Path) -> Child:
    """Start `python -m module` as a child that ends with this process.

    Args:
        secrets: environment variables; unlike arguments they do not show in the process list.
        log: standard error is appended here.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments, "--end-with-parent"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            env={**os.environ, **SINGLE_THREADED, **secrets},
            # Ctrl-C reaches the parent alone, which then stops its children in order.
            start_new_session=True,
        )
    return Child(name, process, cast(IO[bytes], process.stdin), cast(IO[bytes], process.stdout), log)


def announcement(child: Child, timeout_s: float) -> dict[str, Any]:
    """What a child says when it is ready: the JSON object on the first line of its standard output.

    Raises:
        Unavailable: it ended first, or said nothing within `timeout_s`; the message holds the end of its log.
    """
    deadline = time.monotonic() + timeout_s
    line = b""
    with selectors.DefaultSelector() as selector:
        selector.register(child.output, selectors.EVENT_READ)
        while not line.endswith(b"\n"):
            left = deadline - time.monotonic()
            if left <= 0 or not selector.select(left):
                raise Unavailable(f"{child.name} is not ready after {timeout_s:g} s. {_log_tail(child.log)}")
            part = os.read(child.output.fileno(), 4096)
            if not part:
                raise Unavailable(f"{child.name} ended before it was ready. {_log_tail(child.log)}")
            line += part
    announced: dict[str, Any] = json.loads(line)
    return announced


def stop(children: Sequence[Child], grace_s: float = GRACE_S) -> None:
    """End these processes and no others: first by closing their pipe, then by SIGTERM, then by SIGKILL.

    Each step is waited for at most `grace_s` seconds, all processes together.
    """
    for child in children:
        child.lifeline.close()
    _wait(children, grace_s)
    for number in (signal.SIGTERM, signal.SIGKILL):
        remaining = [child for child in children if child.alive]
        for child in remaining:
            child.process.send_signal(number)
        _wait(remaining, grace_s)
    for child in children:
        child.output.close()


async def serve(
    app: FastAPI,
    port: int,
    announce: Callable[[str], dict[str, Any]],
    *,
    end_with_parent: bool,
    ready: Callable[[], bool] = lambda: True,
) -> None:
    """Serve on loopback until a signal or the parent's end; prints what `announce(url)` gives once it answers.

    Args:
        port: 0 lets the system choose.
        ready: asked every 20 ms after the server answers; the announcement waits for it.
    """
    # asyncio sets TCP_NODELAY only where the protocol is named; without it each answer waits 40 ms for a delayed ACK.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((HOST, port))
    server = uvicorn.Server(
        uvicorn.Config(app, log_level="warning", access_log=False, lifespan="off", timeout_graceful_shutdown=1)
    )
    if end_with_parent:
        threading.Thread(target=_watch_parent, args=(server,), name="parent", daemon=True).start()
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    while not serving.done() and not (server.started and ready()):
        await asyncio.sleep(0.02)
    if not serving.done():
        print(json.dumps(announce(f"http://{HOST}:{listener.getsockname()[1]}")), flush=True)
    await serving


def _watch_parent(server: uvicorn.Server) -> None:
    # os.read, not sys.stdin: a daemon thread inside a buffered reader blocks the interpreter's exit.
    while os.read(0, 4096):
        pass
    server.should_exit = True
    time.sleep(2 * GRACE_S)
    os._exit(1)


def _wait(children: Sequence[Child], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    for child in children:
        try:
            child.process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            continue


def _log_tail(log: Path, lines: int = 8) -> str:
    tail = log.read_text(errors="replace").splitlines()[-lines:] if log.exists() else []
    return f"Last lines of {log}:\n" + ("\n".join(tail) or "(empty)")
