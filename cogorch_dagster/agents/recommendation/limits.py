"""How far a recommendation may go, what it must show, and how long is simulated for it."""

from dataclasses import dataclass

from cogorch_dagster.errors import InvalidInput


@dataclass(frozen=True)
class Limits:
    """The values that a caller can change.

    Attributes:
        weight_step: largest change of one weight of a router, in (0, 1].
        floor: exploration: no arm in use is taken below this weight.
        factor: latency target, cost cap, timeout and replicas change by at most this factor, above 1.
        utilisation_step: largest change of the target utilisation.
        minimum_gain: the lower 95 % bound of the simulated difference must reach this; reward per step.
        share_tolerance: by so much may useful answers, good answers, unfairness or violations get worse, as a share;
            the worse end of the 95 % interval counts.
        cost_tolerance: the same for the cost of a useful answer, relative.
        fleets: that the controller steers.
        steps: of every run, at most the fleets' horizon.
        warm_up: share of the steps that the controller has to arrive at its settings.
        minimum_orders: times that more replicas were ordered, to tell at what load.
        seeds: fresh ones that the documents are compared on.
        fleets_per_seed: of the comparison.
    """

    weight_step: float = 0.2
    floor: float = 0.02
    factor: float = 1.5
    utilisation_step: float = 0.15
    minimum_gain: float = 0.005
    share_tolerance: float = 0.01
    cost_tolerance: float = 0.05
    fleets: int = 64
    steps: int = 240
    warm_up: float = 0.5
    minimum_orders: int = 30
    seeds: int = 20
    fleets_per_seed: int = 8

    def __post_init__(self) -> None:
        bounds = {
            "weight_step": (0.001, 1.0),
            "floor": (0.0, 0.5),
            "factor": (1.001, 100.0),
            "utilisation_step": (0.001, 1.0),
            "minimum_gain": (0.0, 1.0),
            "share_tolerance": (0.0, 1.0),
            "cost_tolerance": (0.0, 10.0),
            "fleets": (1, 10_000),
            "steps": (10, 100_000),
            "warm_up": (0.0, 0.95),
            "minimum_orders": (1, 10**9),
            "seeds": (5, 1000),
            "fleets_per_seed": (1, 10_000),
        }
        for name, (low, high) in bounds.items():
            if not low <= getattr(self, name) <= high:
                raise InvalidInput(f"{name} must be {low} to {high}, got {getattr(self, name)}")
