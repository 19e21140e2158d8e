"""The tabular learner of a first design: 27 states, 5 actions, Q-learning, one agent for the whole fleet.

All fleets share one table. They are the same fleet in different traffic, so what one learns holds for all, and the
table gets as many steps as the agents it is compared with; a table for each fleet would get a share of them. What is
learned is the reward that the four agents share.
"""

from dataclasses import dataclass, replace

import numpy as np

from cogorch_dagster.agents.baselines.q_table import Integers, chosen, targets, updated
from cogorch_dagster.agents.baselines.static import passive
from cogorch_dagster.agents.comparison.bootstrap import Floats
from cogorch_dagster.agents.controllers import States
from cogorch_dagster.agents.readings import reading, readings
from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.fleet.actions import POLICY, Values
from cogorch_dagster.fleet.environment import Step
from cogorch_dagster.fleet.parameters import MODELS, FleetParameters

ACTIONS = ("nothing", "scale_up", "scale_down", "weights_to_ablest", "weights_to_cheapest")
LEVELS = 3
ROWS = LEVELS**3
# Of the largest number of replicas, of every model at once.
SCALE_STEP = 0.1
# Shares of what is promised, or of the capacity, at which a level gives way to the next.
LATENCY_EDGES = (0.5, 1.0)  # mean latency over slo_ms
LOAD_EDGES = (0.5, 0.8)  # mean utilisation
ERROR_EDGES = (0.75, 1.0)  # requests without a useful answer over those that the promise allows


@dataclass(frozen=True)
class TabularConfiguration:
    """How the table is learned; the defaults are those of the first design.

    Attributes:
        rate: of learning, above 0 up to 1.
        discount: 0 to below 1.
        epsilon: probability of a random action, 0 to 1.
        final_epsilon: the same after `decay_steps`, reached in a straight line.
        decay_steps: steps of single fleets; 0 keeps epsilon as it is.
    """

    rate: float = 0.1
    discount: float = 0.95
    epsilon: float = 0.2
    final_epsilon: float = 0.2
    decay_steps: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.rate <= 1:
            raise InvalidInput(f"rate must lie above 0 and up to 1, got {self.rate}")
        if not 0 <= self.discount < 1:
            raise InvalidInput(f"discount must lie from 0 to below 1, got {self.discount}")
        for name in ("epsilon", "final_epsilon"):
            if not 0 <= getattr(self, name) <= 1:
                raise InvalidInput(f"{name} must lie from 0 to 1, got {getattr(self, name)}")
        if self.decay_steps < 0:
            raise InvalidInput(f"decay_steps must be 0 or more, got {self.decay_steps}")

    def epsilon_after(self, steps: int) -> float:
        """Probability of a random action after so many steps of single fleets."""
        if self.decay_steps == 0:
            return self.epsilon
        return self.epsilon + (self.final_epsilon - self.epsilon) * min(steps / self.decay_steps, 1.0)


def decaying(decay_steps: int) -> TabularConfiguration:
    """The variant that explores everywhere at first and hardly at the end: epsilon from 1 to .01."""
    return TabularConfiguration(epsilon=1.0, final_epsilon=0.01, decay_steps=decay_steps)


class TabularController:
    """One table for all fleets; it learns from `observe` while `learning` is set.

    Args:
        parameters: of the fleets, for what is promised.
        seed: of the random actions, 0 or more.

    Attributes:
        table: values, float64 [27, 5]; the row is 9 latency + 3 load + errors, each level 0 (low) to 2 (high).
        steps: of single fleets that it has learned from.
        learning: whether `observe` changes the table.
    """

    def __init__(
        self, parameters: FleetParameters, configuration: TabularConfiguration | None = None, *, seed: int = 0
    ) -> None:
        self.parameters = parameters
        self.configuration = configuration or TabularConfiguration()
        self.name = "tabular Q" + (", decaying epsilon" if self.configuration.decay_steps else "")
        self.table = np.zeros((ROWS, len(ACTIONS)))
        self.steps = 0
        self.learning = True
        self._generator = np.random.default_rng(seed)
        self._last: tuple[Integers, Integers] | None = None

    def deployed(self, *, explore: bool = True) -> "TabularController":
        """A copy that acts on the table as it is now and learns no more.

        With `explore` it takes random actions as often as it did last in training, which is how the first design ran:
        one in five for ever. Without it, only the best known.
        """
        epsilon = self.configuration.epsilon_after(self.steps) if explore else 0.0
        other = TabularController(self.parameters, replace(self.configuration, epsilon=epsilon, final_epsilon=epsilon))
        other.table, other.steps, other.learning = self.table.copy(), self.steps, False
        other.name += "" if explore else ", best action only"
        return other

    def start(self, fleets: int, seed: int) -> None:  # noqa: ARG002
        """See `Starting.start`; the table stays."""
        self._generator = np.random.default_rng(seed)
        self._last = None

    def act(self, states: States) -> dict[str, Values]:
        """See `Controller.act`."""
        rows = row_of(states, self.parameters)
        epsilon = self.configuration.epsilon_after(self.steps)
        actions = chosen(self.table, rows, epsilon, self._generator)
        self._last = rows, actions
        return translated(states, actions)

    def observe(self, step: Step) -> None:
        """See `Observing.observe`: the update of the table.

        Raises:
            InvalidInput: nothing was done before.
        """
        if not self.learning:
            return
        if self._last is None:
            raise InvalidInput("there is no action to learn from; call act first")
        rows, actions = self._last
        aims = targets(
            self.table,
            step.rewards.astype(np.float64),
            row_of(step.final_states, self.parameters),
            step.terminated,
            discount=self.configuration.discount,
        )
        self.table = updated(self.table, rows, actions, aims, rate=self.configuration.rate)
        self.steps += len(rows)


def row_of(states: States, parameters: FleetParameters) -> Integers:
    """The table's row for what the policy agent sees: int64 [B], 0 to 26."""
    errors = (1 - reading(states, "policy", "useful")) / max(1 - parameters.min_useful, 1e-3)
    latency = np.digitize(reading(states, "policy", "latency"), LATENCY_EDGES)
    load = np.digitize(reading(states, "policy", "utilisation"), LOAD_EDGES)
    return np.asarray((latency * LEVELS + load) * LEVELS + np.digitize(errors, ERROR_EDGES), dtype=np.int64)


def translated(states: States, actions: Integers) -> dict[str, Values]:
    """What the four agents do for an action of the table; resources are held where they were ordered to be."""
    ordered: Floats = readings(states, "resource", "ready", MODELS) + readings(states, "resource", "starting", MODELS)
    change = SCALE_STEP * ((actions == ACTIONS.index("scale_up")) - 1.0 * (actions == ACTIONS.index("scale_down")))
    found = passive(len(actions))
    found["resource"][:, :MODELS] = np.clip(ordered + change, 0.0, 1.0).T
    found["resource"][:, MODELS] = np.clip(reading(states, "resource", "concurrency"), 0.0, 1.0)
    policy = [action.name for action in POLICY]
    for name in ("weights_to_ablest", "weights_to_cheapest"):
        found["policy"][actions == ACTIONS.index(name)] = policy.index(name)
    return found
