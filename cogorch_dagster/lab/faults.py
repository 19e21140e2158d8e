"""Faults that somebody declares: a model server that ends, one that stops answering, one that errs at a rate.

Switched on while the fleet runs, from the code that started it or from any shell of the same installation:

    python -m cogorch_dagster.lab.faults digits-forest hang
    python -m cogorch_dagster.lab.faults digits-forest errors --rate 0.3
    python -m cogorch_dagster.lab.faults digits-forest none
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any, Literal, get_args

import httpx
from pydantic import BaseModel, ConfigDict, Field

from cogorch_dagster.errors import CogorchError, InvalidInput, Unavailable
from cogorch_dagster.settings import Settings, load_settings

FaultKind = Literal["none", "kill", "hang", "errors"]


class Fault(BaseModel):
    """What a server is told to do wrong; `rate` (0 to 1) is the share of requests that `errors` turns into a 500."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: FaultKind
    rate: float = Field(default=1.0, ge=0, le=1)


def fleet_file(settings: Settings) -> Path:
    """Where a running fleet says how to reach it; readable by its owner alone."""
    return settings.home / "lab" / "fleet.json"


def inject(settings: Settings, model: str, fault: Fault) -> None:
    """Switch a fault of one server of this installation's running fleet on, or every fault off with kind `none`.

    Raises:
        Unavailable: no fleet runs here, or the server does not answer, for example because it was killed.
        InvalidInput: the fleet has no such model.
    """
    try:
        fleet: dict[str, Any] = json.loads(fleet_file(settings).read_text())
    except FileNotFoundError:
        raise Unavailable(f"No lab runs under {settings.home}; `cogorch demo` starts one.") from None
    if model not in fleet["servers"]:
        raise InvalidInput(f"The lab has no server {model!r}; it has {', '.join(fleet['servers'])}.")
    switch(fleet["servers"][model]["url"], fleet["control_token"], fault)


def switch(server_url: str, control_token: str, fault: Fault) -> None:
    """Tell one model server its fault; a server told to end is gone when this returns.

    Raises:
        Unavailable: the server does not answer or refuses the token.
    """
    try:
        response = httpx.post(
            f"{server_url}/control/fault",
            json=fault.model_dump(),
            headers={"Authorization": f"Bearer {control_token}"},
            timeout=5,
            trust_env=False,
        )
        response.raise_for_status()
    except httpx.HTTPStatusError as error:
        raise Unavailable(f"{server_url} refuses the fault {fault.kind}: {error.response.text}") from error
    except httpx.TransportError as error:
        # A server that is told to end cuts the connection instead of answering.
        if fault.kind == "kill" and isinstance(error, httpx.RemoteProtocolError | httpx.ReadError):
            return
        raise Unavailable(f"{server_url} does not take the fault {fault.kind}: {error!r}") from error


def main(arguments: list[str] | None = None) -> int:
    """The command line in this module's docstring; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m cogorch_dagster.lab.faults")
    parser.add_argument("model")
    parser.add_argument("kind", choices=get_args(FaultKind))
    parser.add_argument("--rate", type=float, default=1.0, help="share of requests that fail, for `errors`")
    chosen = parser.parse_args(arguments)
    if not 0 <= chosen.rate <= 1:
        parser.error(f"--rate is {chosen.rate}; it must lie between 0 and 1")
    try:
        inject(load_settings(), chosen.model, Fault(kind=chosen.kind, rate=chosen.rate))
    except CogorchError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
