"""Which model of the simulated fleet stands for which arm or component: by name, as the calibration has named them.

A model that stands for several of the data (`small and 2 more`), or for none, is nobody's place.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from cogorch_dagster.agents.comparison.bootstrap import Floats
from cogorch_dagster.errors import Refused
from cogorch_dagster.fleet.parameters import FleetParameters

# An arm of weight 0 is not asked; its logarithm must exist.
LEAST_WEIGHT = 1e-6


@dataclass(frozen=True)
class Places:
    """Places of a fleet's models.

    Attributes:
        names: of the models, in their order.
        known: by name the place of those that stand for one model of the data.
        shared: places that stand for several.
    """

    names: tuple[str, ...]
    known: dict[str, int]
    shared: tuple[int, ...]

    @classmethod
    def of(cls, parameters: FleetParameters, arms: Iterable[str] = ()) -> "Places":
        """The places that stand for one of the arms, by its name."""
        names = tuple(model.name for model in parameters.models)
        absent = {place for place in range(len(names)) if parameters.origin.get(f"models.{place}.name") == "absent"}
        wanted = set(arms)
        known = {name: place for place, name in enumerate(names) if name in wanted and place not in absent}
        shared = tuple(place for place in range(len(names)) if place not in {*absent, *known.values()})
        return cls(names, known, shared)

    def weights(self, by_arm: Mapping[str, float]) -> Floats:
        """A router's weights as the fleet's, [M].

        What arms without a place of their own have goes to the shared places in equal parts, or where there are none to
        the arms that have one, in proportion.
        """
        weights = np.zeros(len(self.names))
        for arm, place in self.known.items():
            weights[place] = by_arm.get(arm, 0.0)
        rest = max(sum(by_arm.values()) - weights.sum(), 0.0)
        for place in self.shared:
            weights[place] += rest / len(self.shared)
        weights = np.maximum(weights, LEAST_WEIGHT)
        return np.asarray(weights / weights.sum())


def models_of(component: str | None, parameters: FleetParameters) -> tuple[int, ...]:
    """The models whose replicas an autoscaler's component is about; all of them when it has none.

    Args:
        component: such as `autoscaler:small`, of which the part after the colon names a model.

    Raises:
        Refused: `unknown_component`.
    """
    names = Places.of(parameters, [model.name for model in parameters.models])
    if component is None:
        return tuple(sorted(names.known.values()))
    name = component.partition(":")[2] or component
    if name not in names.known:
        raise Refused(
            "unknown_component",
            f"component {component!r} names none of the calibrated models {', '.join(names.known) or '(none)'}; name "
            "one after a colon, such as autoscaler:MODEL, or leave the component out for all",
        )
    return (names.known[name],)
