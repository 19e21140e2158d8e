"""Numerical libraries take one thread within, and as many as before afterwards."""

import subprocess
import sys

CODE = """
from threadpoolctl import threadpool_info
from cogorch_dagster.platform.threads import on_one_thread

def threads():
    return [each["num_threads"] for each in threadpool_info()]

import numpy
import scipy.linalg
before = threads()
assert set(on_one_thread("sklearn.ensemble")(threads)()) == {1}, "also of what was loaded for it"
assert len(threads()) > len(before)
assert max(threads()) == max(before), (before, threads())
"""


def test_one_thread_within_and_the_same_as_before_after() -> None:
    environment = {"OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "2"}
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
