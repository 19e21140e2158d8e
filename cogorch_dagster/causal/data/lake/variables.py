"""The variables that a component has in the lake: names, units, roles and tiers.

A tier holds what can only be caused by itself and the tiers before: load and mix come before the policy that may react
to them, the policy before what it draws, then queues, outcomes, and last the reward that is computed from them.
"""

import re
from dataclasses import dataclass

import numpy as np

from cogorch_dagster.causal.data.dataset import Floats, Integers, Role, Variable

CONTEXT, POLICY, DRAWN, STATE, OUTCOME, REWARD = range(6)

PARAMETER = "param:"
KEY = "context:"
SHARE = "share:"
TENANT = "tenant:"

POLICY_KEYS = frozenset(
    {
        "replicas",
        "min_replicas",
        "max_replicas",
        "concurrency",
        "max_concurrency",
        "batch_size",
        "timeout_ms",
        "retries",
        "max_retries",
        "rate_limit",
    }
)
"""Keys of an observation's context that somebody sets; every other key is what was given before the action."""

_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


@dataclass(frozen=True, eq=False)
class Column:
    """A variable and its value in each bucket, NaN where it has none."""

    variable: Variable
    values: Floats


@dataclass(frozen=True, eq=False)
class Buckets:
    """The buckets that are rows: `numbers` counts widths of `width_s` seconds since 1970, ascending."""

    width_s: int
    numbers: Integers

    def placed(self, numbers: Floats, values: Floats) -> Floats:
        """(rows,) the values of some buckets at their rows, NaN elsewhere; others are left out."""
        out = np.full(len(self.numbers), np.nan)
        at = np.searchsorted(self.numbers, numbers)
        inside = at < len(self.numbers)
        inside[inside] = self.numbers[at[inside]] == numbers[inside]
        out[at[inside]] = values[inside]
        return out


def measure(name: str) -> Variable:
    """One of the variables that every component may have, by its name in `MEASURES`."""
    unit, role, tier, description = MEASURES[name]
    return Variable(name, unit, role, tier, description=description)


def is_policy_key(key: str) -> bool:
    """Whether a context key is set by somebody, also in camelCase."""
    return _CAMEL.sub("_", key).lower() in POLICY_KEYS


MEASURES: dict[str, tuple[str, Role, int, str]] = {
    "load": ("requests/min", "context", CONTEXT, "first attempts a minute"),
    "input_tokens": ("tokens", "context", CONTEXT, "mean input of a first attempt"),
    "queue_ms": ("ms", "state", STATE, "mean time in the queue"),
    # In ms and not in ln ms: a mean in ms is linear in the mix of arms, and queue and work add up to it.
    "latency_ms": ("ms", "outcome", OUTCOME, "mean duration of an attempt, time in the queue included"),
    "ttft_ms": ("ms", "outcome", OUTCOME, "mean time to the first token"),
    "error_share": ("share", "outcome", OUTCOME, "share of attempts that failed or timed out"),
    "cost_usd": ("USD", "outcome", OUTCOME, "mean cost of a request with all its attempts"),
    "quality": ("score", "outcome", OUTCOME, "mean judged quality, 0 to 1"),
    "unfairness": ("share", "outcome", OUTCOME, "success share of the best served tenant less that of the worst"),
    "reward": ("score", "outcome", REWARD, "mean reward, 0 to 1"),
}
