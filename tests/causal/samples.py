"""Small data sets whose causes are known."""

from datetime import UTC, datetime

import numpy as np

from cogorch_dagster.causal.data.dataset import CausalDataset, SetAside, Variable

START = datetime(2026, 1, 5, tzinfo=UTC)
MINUTE = 60
# What load, replicas and queueing do in `autoscaled`: replicas follow load, and less queueing follows replicas.
REPLICAS_ON_QUEUE = -8.0
QUEUE_ON_LATENCY = 1.5


def autoscaled(rows: int = 600, seed: int = 0, scope: str = "autoscaler:core", shift: float = 0.0) -> CausalDataset:
    """Simpson's reversal: replicas follow load, so that latency is highest where there are most replicas.

    Args:
        shift: added to the latency by its own mechanism.
    """
    rng = np.random.default_rng(seed)
    load = 100 + 20 * rng.standard_normal(rows)
    replicas = 2 + 0.05 * load + 0.6 * rng.standard_normal(rows)
    queue = 20 + 1.2 * load + REPLICAS_ON_QUEUE * replicas + 4 * rng.standard_normal(rows)
    latency = 200 + shift + QUEUE_ON_LATENCY * queue + 10 * rng.standard_normal(rows)
    reward = 1.2 - 0.001 * latency + 0.02 * rng.standard_normal(rows)
    times = int(START.timestamp()) + MINUTE * np.arange(rows)
    return CausalDataset(
        scope=scope,
        variables=(
            Variable("load", "requests/min", "context", 0),
            Variable("context:replicas", "replicas", "policy", 1),
            Variable("queue_ms", "ms", "state", 3),
            Variable("latency_ms", "ms", "outcome", 4),
            Variable("reward", "", "outcome", 5),
        ),
        values=np.column_stack([load, replicas, queue, latency, reward]),
        groups=np.zeros(rows, dtype=np.int64),
        times=times,
        since=START,
        until=datetime.fromtimestamp(int(times[-1]) + MINUTE, UTC),
        inputs=f"sample:{seed}",
        set_aside=(SetAside("ttft_ms", "no row has it"),),
    )


# What one more unit of the share of the large arm does to the reward in `routed`.
LARGE_ON_REWARD = 0.3 - 0.25 * 400 / 1000


def routed(rows: int = 500, seed: int = 0, scope: str = "router:core") -> CausalDataset:
    """A router's buckets: the large arm answers better, and slower; the small one is the reference."""
    rng = np.random.default_rng(seed)
    load = 200 + 30 * rng.standard_normal(rows)
    large = np.clip(0.2 + 0.06 * rng.standard_normal(rows), 0, 1)
    medium = np.clip(0.3 + 0.06 * rng.standard_normal(rows), 0, 1)
    latency = 80 + 400 * large + 100 * medium + 0.1 * load + 8 * rng.standard_normal(rows)
    quality = 0.6 + 0.3 * large + 0.1 * medium + 0.02 * rng.standard_normal(rows)
    reward = 0.1 + quality - 0.25 * latency / 1000 + 0.005 * rng.standard_normal(rows)
    return CausalDataset(
        scope=scope,
        variables=(
            Variable("load", "requests/min", "context", 0),
            Variable("share:large", "share", "policy", 2),
            Variable("share:medium", "share", "policy", 2),
            Variable("latency_ms", "ms", "outcome", 4),
            Variable("quality", "score", "outcome", 4),
            Variable("reward", "score", "outcome", 5),
        ),
        values=np.column_stack([load, large, medium, latency, quality, reward]),
        groups=np.zeros(rows, dtype=np.int64),
        times=int(START.timestamp()) + MINUTE * np.arange(rows),
        since=START,
        until=datetime.fromtimestamp(int(START.timestamp()) + MINUTE * rows, UTC),
        inputs=f"sample:{seed}",
        set_aside=(SetAside("param:latencyTargetMs", "is constant"), SetAside("share:small", "the reference")),
    )
