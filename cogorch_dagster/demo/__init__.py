"""The whole loop on real traffic, step by step, as a user would go through it: what `make demo` runs.

Everything that happens here happens through the product: requests go to the lab's router, observations through the
client and the service; Dagster's jobs materialise and activate, the command line approves.
"""

from cogorch_dagster.demo.loop import run
from cogorch_dagster.demo.result import DemoOptions, DemoResult

__all__ = ["DemoOptions", "DemoResult", "run"]
