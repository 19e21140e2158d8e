"""What a recommendation must show in simulation before it is stored: a sure gain, and no promise that suffers."""

from collections.abc import Mapping
from typing import Any

from cogorch_dagster.agents.comparison.comparison import Comparison
from cogorch_dagster.agents.recommendation.limits import Limits
from cogorch_dagster.errors import Refused
from cogorch_dagster.fleet.calibration.calibration import Calibration
from cogorch_dagster.proposals.requirements import Insufficient

# The promises to tenants, and how many of them are broken, as metrics; cost has a tolerance of its own.
SHARES = ("success", "good", "unfairness", "violations")


def require_calibrated(calibration: Calibration) -> None:
    """Raises Refused(`uncalibrated`) when the parameters come from no observations."""
    if calibration.rows == 0:
        raise Refused(
            "uncalibrated",
            f"calibration {calibration.digest} rests on no observations, so its models are nobody's; calibrate from a "
            "period with traffic: `cogorch fleet calibrate --since 7d`",
        )


def require_gain(compared: Mapping[str, Comparison], document: Mapping[str, Any], limits: Limits) -> None:
    """Raises Insufficient(`simulated_bound_below_minimum_gain`)."""
    reward = compared["reward"].difference
    if reward.low < limits.minimum_gain:
        raise Insufficient(
            "simulated_bound_below_minimum_gain",
            f"the lower 95 % bound of the simulated difference is {reward.low:.4f} (estimate {reward.value:.4f}) "
            f"of reward per step; it must reach the minimum gain {limits.minimum_gain:g}. Train longer, simulate "
            f"more than {compared['reward'].seeds} seeds, or accept a smaller gain.",
            document,
        )


def require_promises(compared: Mapping[str, Comparison], document: Mapping[str, Any], limits: Limits) -> None:
    """Raises Insufficient(`promise_worse`) when a promise may be worse by more than its tolerance."""
    worse = []
    for name in SHARES:
        low, high = compared[name].difference.low, compared[name].difference.high
        loss = -low if compared[name].metric.direction == "higher" else high
        if loss > limits.share_tolerance:
            worse.append(f"{name} by up to {loss:.4f} (tolerance {limits.share_tolerance:g})")
    cost = compared["cost"]
    if cost.relative is None or cost.relative.high > limits.cost_tolerance:
        by = "an unknown share" if cost.relative is None else f"up to {cost.relative.high:.1%}"
        worse.append(f"cost by {by} (tolerance {limits.cost_tolerance:.0%})")
    if worse:
        raise Insufficient(
            "promise_worse",
            f"within their 95 % intervals, promises get worse: {', '.join(worse)}. Give what suffers more weight in "
            "the training's reward, or raise the tolerance if you can do without.",
            document,
        )
