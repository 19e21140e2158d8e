"""Processes that are copies of the one of the tests, and so have imported everything already."""

import multiprocessing
from collections.abc import Callable
from multiprocessing.process import BaseProcess

from cogorch_dagster.platform import database


def forked(target: Callable[[], None]) -> BaseProcess:
    """A started process that runs this and ends."""
    # Two processes cannot speak over one connection.
    database.dispose()
    child = multiprocessing.get_context("fork").Process(target=target)
    child.start()
    return child
