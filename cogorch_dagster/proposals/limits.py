"""How far a proposal may go and what its evidence must show; the values that a caller can change."""

from dataclasses import dataclass

from cogorch_dagster.errors import InvalidInput


@dataclass(frozen=True)
class Limits:
    """How far a proposal may go and what it must show.

    Attributes:
        step_limit: largest change of one weight, in (0, 1].
        floor: exploration: no arm in use is taken below this weight, so that every arm can still be learnt about.
        minimum_gain: the lower 95 % bounds of the improvement, by both estimators, must reach this; units of reward.
        minimum_decisions: usable decisions in the period, both halves together.
        minimum_ess: effective sample size of the candidate on either half.
        minimum_per_arm: logged attempts of every arm in use on either half.
        minimum_active_share: share of the usable decisions that the active version made.
        minimum_feedback: share of the successes that were judged, where the reward counts quality.
        minimum_slice_ess: effective sample size of a tenant's own weights on either half.
        most_slices: tenants that are tried for weights of their own at once; 0 for none.
    """

    step_limit: float = 0.5
    floor: float = 0.02
    minimum_gain: float = 0.01
    minimum_decisions: int = 200
    minimum_ess: float = 50.0
    minimum_per_arm: int = 5
    minimum_active_share: float = 0.5
    minimum_feedback: float = 0.5
    minimum_slice_ess: float = 50.0
    most_slices: int = 10

    def __post_init__(self) -> None:
        bounds = {
            "step_limit": (0.001, 1.0),
            "floor": (0.0, 0.5),
            "minimum_gain": (0.0, 1.0),
            "minimum_decisions": (20, 10**9),
            "minimum_ess": (10, 10**9),
            "minimum_per_arm": (1, 10**9),
            "minimum_active_share": (0.0, 1.0),
            "minimum_feedback": (0.0, 1.0),
            "minimum_slice_ess": (10, 10**9),
            "most_slices": (0, 100),
        }
        for name, (low, high) in bounds.items():
            if not low <= getattr(self, name) <= high:
                raise InvalidInput(f"{name} must be {low} to {high}, got {getattr(self, name)}")
