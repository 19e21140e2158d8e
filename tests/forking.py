"""Programs in processes of their own that need not import other people's packages again.

`python forking.py` reads a request a line: program, arguments, folder, environment, files for stdout and stderr. For
each it forks a process that becomes `python -m PROGRAM ARGUMENTS`, or `python PROGRAM ARGUMENTS` where the program is
a file: its own code is imported anew and the interpreter ends it, with its exit code, its traceback and its flushing.
It answers with a line: the process's id, and another one when that has ended: its return code.
"""

import gc
import importlib
import json
import os
import runpy
import sys
from collections.abc import Sequence
from pathlib import Path

PACKAGES = (
    "duckdb",
    "httpx",
    "numpy",
    "pandas",
    "psutil",
    "psycopg",
    "pyarrow.compute",
    "pyarrow.parquet",
    "pydantic_settings",
    "scipy.special",
    "sqlalchemy.dialects.postgresql.psycopg",
    "typer.main",
    "typer._adapters",
    "yaml",
)
# As well, from the first program of which this is the first argument on.
MLFLOW = ("mlflow.tracking", "mlflow.store.tracking.sqlalchemy_store", "mlflow.store.model_registry.sqlalchemy_store")
# What torch imports with the first optimiser takes as long as torch itself.
OF_GROUP = {
    "agents": ("torch", "torch._dynamo"),
    "registry": ("torch", *MLFLOW),
    "tune": ("torch", "torch._dynamo", "optuna.storages", "optuna.samplers"),
}


def load(packages: Sequence[str]) -> None:
    """Import packages, of which no forked process shall look for garbage when it ends: that costs more than they do."""
    for package in packages:
        importlib.import_module(package)
    assert not any(name.startswith("cogorch_dagster") for name in sys.modules)
    gc.freeze()


def serve() -> dict[str, object]:
    """Fork for every request; returns it in the forked process, and exits in this one when there are no more."""
    for line in sys.stdin:
        request = dict(json.loads(line))
        load(OF_GROUP.get(request["arguments"][0], ()))
        if (pid := os.fork()) == 0:
            return request
        print(pid, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
    sys.exit(0)


def become(request: dict[str, object]) -> None:
    """Be the process that was asked for, as the interpreter would start it."""
    for number, file in enumerate((os.devnull, request["out"], request["err"])):
        opened = os.open(str(file), os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(opened, number)
        os.close(opened)
    os.chdir(str(request["cwd"]))
    os.environ.clear()
    os.environ.update(request["environment"])  # type: ignore[call-overload]
    sys.path[0] = str(Path.cwd())
    sys.argv[1:] = request["arguments"]  # type: ignore[call-overload]
    program = str(request["program"])
    if program.endswith(".py"):
        runpy.run_path(program, run_name="__main__")
    else:
        runpy.run_module(program, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    load(PACKAGES)
    become(serve())
