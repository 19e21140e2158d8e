"""`cogorch up`, `down` and `demo`: the processes of an installation."""

import dataclasses
import functools
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cogorch_dagster.cli.output import JsonOption, Output, examples, load_settings, say

if TYPE_CHECKING:
    from cogorch_dagster.platform.run_state import State
    from cogorch_dagster.settings import Settings

UP_EPILOG = examples(
    "cogorch up", "cogorch up --detach --agents && cogorch doctor", "COGORCH_WEBSERVER_PORT=3001 cogorch up"
)
DOWN_EPILOG = examples("cogorch down")
DEMO_EPILOG = examples("cogorch demo", "cogorch demo --json --seed 7 | tail -n 1")

# Every part may take its whole time to become ready.
DETACHED_READY_S = 240.0


def up(
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Return once everything is ready.")] = False,
    agents: Annotated[
        bool, typer.Option("--agents", help="Let the agents run too, as `cogorch agents serve` does; takes a core.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Start PostgreSQL, the service, Dagster's web UI, daemon and code server, and keep them running until Ctrl-C.

    A part that ends is started again, PostgreSQL too. Logs are under <home>/logs.
    """
    out = Output(as_json)
    from cogorch_dagster.platform import stack, supervisor
    from cogorch_dagster.setup import keep_local_token, prepare_databases

    settings = load_settings()
    try:
        if detach:
            state = _start_detached(settings, ["--agents"] if agents else [])
            out.result(_summary(state), lambda: _show(state))
            return

        def tell(message: str) -> None:
            say(f"{time.strftime('%H:%M:%S')} {message}")

        def show(state: "State") -> None:
            out.result(_summary(state), lambda: _show(state))

        def prepare() -> None:
            prepare_databases(settings)
            keep_local_token(settings)

        parts = functools.partial(stack.parts, agents=agents)
        supervisor.Supervisor(settings, tell, on_ready=show, parts=parts).run(prepare)
    except supervisor.AlreadyRunning as running:
        state_now = running.state
        say("cogorch is already up for this installation." if state_now else "cogorch is just starting.")
        if state_now:
            out.result(_summary(state_now), lambda: _show(state_now))


def down(as_json: JsonOption = False) -> None:
    """Stop everything that `cogorch up` started, and the embedded PostgreSQL."""
    out = Output(as_json)
    from cogorch_dagster.platform import supervisor

    stopped = supervisor.down(load_settings(), say)
    text = f"Stopped: {', '.join(stopped)}." if stopped else "Nothing was running."
    out.result({"stopped": stopped}, lambda: print(text))


def demo(
    rate: Annotated[float | None, typer.Option(min=0.1, help="Requests a second; default 36.")] = None,
    seconds: Annotated[
        float | None, typer.Option(min=1, help="Length of each of the two stretches of load; default 45.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, max=2**32 - 1, help="Of the load and the router's draws; default 7.")
    ] = None,
    keep_running: Annotated[bool, typer.Option("--keep-running", help="Go on under load until Ctrl-C.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Run the whole loop on a small real fleet: serve, observe, score, propose, approve, activate, measure."""
    out = Output(as_json)
    from cogorch_dagster import demo as demonstration

    given = {"rate": rate, "seconds": seconds, "seed": seed}
    chosen: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    options = dataclasses.replace(demonstration.DemoOptions(keep_running=keep_running), **chosen)
    result = demonstration.run(load_settings(), options)
    out.result(result, lambda: None)


def _start_detached(settings: "Settings", options: list[str]) -> "State":
    from cogorch_dagster.errors import Unavailable
    from cogorch_dagster.platform import processes, run_state, stack, supervisor

    if run_state.is_up(settings):
        raise supervisor.AlreadyRunning(run_state.read(settings))
    log = stack.log_file(settings, "supervisor")
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        child = subprocess.Popen(
            [sys.executable, "-m", "cogorch_dagster.cli", "up", *options],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ},
            start_new_session=True,
        )
    try:
        state = _await_ready(settings, child)
    except BaseException:
        child.terminate()
        raise
    if state is None and run_state.is_up(settings):
        raise supervisor.AlreadyRunning(run_state.read(settings))
    if state is None:
        child.terminate()
        raise Unavailable(f"cogorch did not come up; from {log}:\n{processes.log_tail(log)}")
    return state


def _await_ready(settings: "Settings", child: "subprocess.Popen[bytes]") -> "State | None":
    """What runs once the child has started it all; None when it ended or takes too long."""
    from cogorch_dagster.platform import run_state

    deadline = time.monotonic() + DETACHED_READY_S
    while child.poll() is None and time.monotonic() < deadline:
        state = run_state.read(settings)
        if state and state.phase == "ready" and state.pid == child.pid:
            return state
        time.sleep(0.2)
    return None


def _summary(state: "State") -> dict[str, object]:
    return {"phase": state.phase, "pid": state.pid, "urls": state.urls, "running": [r.name for r in state.alive()]}


def _show(state: "State") -> None:
    from cogorch_dagster.cli.output import fields

    names = {"webserver": "Web UI", "service": "Service"}
    fields([(names.get(name, name), url) for name, url in sorted(state.urls.items(), reverse=True)])
    print(f"Running ({state.phase}): {', '.join(record.name for record in state.alive()) or 'nothing yet'}", flush=True)
