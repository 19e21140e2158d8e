"""Which way an outcome is better."""

from typing import Literal

Better = Literal["lower", "higher"]

_BETTER: dict[str, Better] = {
    "reward": "higher",
    "quality": "higher",
    "latency_ms": "lower",
    "ttft_ms": "lower",
    "queue_ms": "lower",
    "error_share": "lower",
    "cost_usd": "lower",
    "unfairness": "lower",
}


def better_of(outcome: str) -> Better | None:
    """Whether more or less of an outcome is an improvement; None for one that only its owner can judge."""
    return _BETTER.get(outcome)
