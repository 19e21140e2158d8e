"""`cogorch setup`."""

from pathlib import Path
from typing import Annotated

import typer

from cogorch_dagster.cli.output import JsonOption, Output, examples, load_settings, say

SETUP_EPILOG = examples("cogorch setup", "COGORCH_HOME=/srv/cogorch cogorch setup")


def setup(
    env_file: Annotated[Path, typer.Option(help="Gets COGORCH_HOME and DAGSTER_HOME if it lacks them.")] = Path(".env"),
    as_json: JsonOption = False,
) -> None:
    """Prepare PostgreSQL, schema, seed policies, the Dagster instance, a local token and .env; safe to repeat."""
    out = Output(as_json)
    from cogorch_dagster.setup import setup as prepare

    done = prepare(load_settings(), env_file.absolute(), say)
    out.result(done, lambda: print(f"{done.home} is set up. Next: cogorch up, or cogorch demo"))
