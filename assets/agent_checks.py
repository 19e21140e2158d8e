"""What the trained agents must show before anything is made of them.

How they are compared, and how the numbers are looked at, is the engine's `agents/`.
"""

import hashlib
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import dagster as dg
from pydantic import Field

from assets.agent_checkpoints import agent_checkpoints
from assets.presentation import picture, shown, table
from resources.installation import CogorchResource

if TYPE_CHECKING:
    from cogorch_dagster.agents.comparison.comparison import Comparison
    from cogorch_dagster.agents.comparison.equal_success import NotComparable
    from cogorch_dagster.agents.store import StoredCheckpoint
    from cogorch_dagster.fleet.signals import AgentName
    from cogorch_dagster.settings import Settings

METRIC_COLUMNS = {
    "metric": "and the way that is better",
    "answer": "better, worse or undecided, by the interval of the difference",
    "static": "interquartile mean over the seeds, every knob at its default",
    "agents": "interquartile mean over the seeds",
    "improvement": "share of the static value, positive where the agents are better",
    "low": "of its 95 % interval",
    "high": "of its 95 % interval",
}
WEIGHT_COLUMNS = {
    "agent": "whose",
    "checkpoint": "digest",
    "numbers": "floating-point numbers looked at",
    "not_finite": "tensors that hold infinity or no number",
}
LATENCY_COLUMNS = {
    "agent": "whose",
    "median_ms": "from a state to an action",
    "p99_ms": "99th percentile",
    "bound_ms": "for the 99th percentile",
}


class FreshConfig(dg.Config):
    """On how many fleets the agents are held against the static defaults."""

    seeds: int = Field(default=20, ge=2, le=1000, description="Fresh ones, each of 8 fleets over a horizon.")


@dg.asset_check(asset=agent_checkpoints, blocking=True)
def beats_static(
    context: dg.AssetCheckExecutionContext, config: FreshConfig, cogorch: CogorchResource
) -> dg.AssetCheckResult:
    """The agents together earn more reward than the static defaults, beyond chance, in fleets they have never met.

    The interval of the difference must lie above 0, on seeds that follow from the checkpoints themselves, so that
    nothing was chosen on them. What would be made of the agents (recommendations) does not run otherwise.
    The registry's versions of these checkpoints get the verdict as a tag; those that pass are the candidates.
    """
    from cogorch_dagster.agents import store
    from cogorch_dagster.agents.comparison.comparison import Answer, Comparison
    from cogorch_dagster.agents.comparison.contest import contest
    from cogorch_dagster.agents.training import joint_checkpoints, kept_training
    from cogorch_dagster.fleet.calibration import store as calibrations
    from cogorch_dagster.fleet.parameters import default_parameters
    from cogorch_dagster.platform.database import transaction

    settings = cogorch.settings
    with transaction(settings) as connection:
        latest = calibrations.latest(connection)
    agents = kept_training.stored_agents(settings)
    found = contest(
        latest.parameters if latest else default_parameters(),
        kept_training.stored_controller(settings, agents),
        ["static"],
        joint_checkpoints.configuration_of(store.load(settings, agents["policy"])),
        seeds=_fresh([each.digest for each in agents.values()], config.seeds),
    )
    comparisons = found.comparisons["static"]
    reward = comparisons["reward"]
    passed = isinstance(reward, Comparison) and reward.answer is Answer.better
    bars = "; ".join(
        f"{each.bar.metric} better by more than {each.bar.improvement:.0%}: {'yes' if each.reached else 'no'}"
        for each in found.bars["static"]
    )
    return dg.AssetCheckResult(
        passed=passed,
        severity=dg.AssetCheckSeverity.ERROR,
        description=f"Against the static defaults: {reward.verdict}.",
        metadata={
            "metrics": table([_metric_row(each) for each in comparisons.values()], METRIC_COLUMNS),
            "bars": bars,
            "seeds": config.seeds,
            "picture": picture(found.picture(), "difference to the static defaults"),
            "checkpoints": dg.MetadataValue.json({agent: each.digest for agent, each in agents.items()}),
            "registry": _marked(context, settings, agents, passed),
        },
    )


@dg.asset_check(asset=agent_checkpoints, blocking=True)
def weights_finite(cogorch: CogorchResource) -> dg.AssetCheckResult:
    """Every number in the newest checkpoint of each agent is finite, and its file is what was stored."""
    from cogorch_dagster.agents import store
    from cogorch_dagster.agents.soundness import finiteness
    from cogorch_dagster.agents.training import kept_training

    rows, wrong = [], []
    for agent, stored in kept_training.stored_agents(cogorch.settings).items():
        found = finiteness(store.load(cogorch.settings, stored))
        wrong += [f"{agent}: {', '.join(found.wrong[:5])}"] if found.wrong else []
        rows.append(
            {
                "agent": agent,
                "checkpoint": stored.digest,
                "numbers": found.numbers,
                "not_finite": ", ".join(found.wrong) or "none",
            }
        )
    return dg.AssetCheckResult(
        passed=not wrong,
        severity=dg.AssetCheckSeverity.ERROR,
        description=f"Not finite: {'; '.join(wrong)}." if wrong else "Every number is finite.",
        metadata={"checkpoints": table(rows, WEIGHT_COLUMNS)},
    )


class InferenceConfig(dg.Config):
    """How fast an agent must act."""

    bound_ms: float = Field(default=10.0, gt=0, description="For the 99th percentile of one decision, on the CPU.")
    repeats: int = Field(default=500, ge=10, le=100_000, description="Decisions that are timed.")


@dg.asset_check(asset=agent_checkpoints)
def inference_latency(config: InferenceConfig, cogorch: CogorchResource) -> dg.AssetCheckResult:
    """Each agent decides within the bound, one state at a time on one thread: a warning, for it also tells of load."""
    from cogorch_dagster.agents.inference import Policy
    from cogorch_dagster.agents.soundness import latency
    from cogorch_dagster.agents.training import kept_training

    rows, slow = [], []
    for agent, stored in kept_training.stored_agents(cogorch.settings).items():
        found = latency(Policy.stored(cogorch.settings, stored), repeats=config.repeats)
        slow += [f"{agent} {found.p99_ms:.2f} ms"] if found.p99_ms > config.bound_ms else []
        rows.append(
            {
                "agent": agent,
                "median_ms": shown(found.median_ms, 3),
                "p99_ms": shown(found.p99_ms, 3),
                "bound_ms": config.bound_ms,
            }
        )
    return dg.AssetCheckResult(
        passed=not slow,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"Slower than {config.bound_ms:g} ms: {', '.join(slow)}." if slow else "Every agent acts in time.",
        metadata={"latency": table(rows, LATENCY_COLUMNS)},
    )


agent_checks = [beats_static, weights_finite, inference_latency]


def _fresh(checkpoints: Iterable[str], count: int) -> range:
    """Seeds that depend on the checkpoints, so that no choice among agents was made on them."""
    # Below 2**61: validation while training takes seeds from 2**62 on.
    first = int.from_bytes(hashlib.sha256(" ".join(sorted(checkpoints)).encode()).digest()[:7], "big")
    return range(first, first + count)


def _marked(
    context: dg.AssetCheckExecutionContext,
    settings: "Settings",
    agents: "Mapping[AgentName, StoredCheckpoint]",
    passed: bool,
) -> str:
    """The versions that got the verdict; a registry that cannot be reached does not change what the check found."""
    from cogorch_dagster.errors import CogorchError
    from cogorch_dagster.registry.tags import BEATS_STATIC
    from cogorch_dagster.tuning.verdicts import mark

    try:
        marked = mark(settings, {agent: each.digest for agent, each in agents.items()}, BEATS_STATIC, passed)
    except CogorchError as error:
        context.log.warning(f"The verdict is not in the registry: {error}")
        return f"not marked: {error}"
    return ", ".join(marked.values()) or "these checkpoints are not registered"


def _metric_row(found: "Comparison | NotComparable") -> dict[str, object]:
    from cogorch_dagster.agents.comparison.equal_success import NotComparable

    name = f"{found.metric.name}, {found.metric.unit} ({found.metric.direction})"
    if isinstance(found, NotComparable):
        return {"metric": name, "answer": found.verdict}
    better = found.improvement
    return {
        "metric": name,
        "answer": str(found.answer),
        "static": shown(found.baseline.value),
        "agents": shown(found.treated.value),
        "improvement": shown(better.value, 3) if better else None,
        "low": shown(better.low, 3) if better else None,
        "high": shown(better.high, 3) if better else None,
    }
