"""B fleets as one environment for four agents: reset, step, automatic reset at the horizon, save and restore.

An episode never ends by itself: it is cut off at the horizon (truncation), so the value of its last state counts.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.fleet import conflicts, signals
from cogorch_dagster.fleet.actions import Actions, checked, turned
from cogorch_dagster.fleet.constants import Constants
from cogorch_dagster.fleet.knobs import BOUNDS, Knobs
from cogorch_dagster.fleet.objectives import Objectives, RewardWeights, judged
from cogorch_dagster.fleet.parameters import FleetParameters
from cogorch_dagster.fleet.present import Present, Tree, columns_of, copied, every, fields, put, require_like
from cogorch_dagster.fleet.signals import Measured, States
from cogorch_dagster.fleet.simulation import FleetState, Outcome, advance, initial_state
from cogorch_dagster.fleet.traffic import Draws, Processes, Traffic, draw_step

Floats = NDArray[np.float64]
Booleans = NDArray[np.bool_]
MAX_FLEETS = 1_000_000


@dataclass(frozen=True)
class Step:
    """What came of a step of B fleets.

    `final_states` follow the actions, also where the episode was cut off there; `states` are where the next step
    begins. `measured` and `outcome` are the step's figures.
    """

    states: States
    rewards: NDArray[np.float32]
    utilities: dict[str, NDArray[np.float32]]
    terminated: Booleans
    truncated: Booleans
    final_states: States
    measured: Measured
    outcome: Outcome
    objectives: Objectives
    conflicts: NDArray[np.int64]


class FleetEnvironment:
    """B simulated fleets in step.

    Args:
        parameters: what the fleets are.
        fleets: B, 1 to 1,000,000.
        seed: of everything random.
        scenarios: S, a divisor of B; fleets i and i + S meet the same traffic and incidents. Default: B.
        weights: of the shared reward.
        vary: whether the level and the mix of the traffic differ between episodes.
        stagger: whether the first episodes are cut off at different steps, so that resets spread out.
    """

    def __init__(
        self,
        parameters: FleetParameters,
        fleets: int,
        *,
        seed: int,
        scenarios: int | None = None,
        weights: RewardWeights | None = None,
        vary: bool = True,
        stagger: bool = False,
    ) -> None:
        scenarios = fleets if scenarios is None else scenarios
        if not 1 <= fleets <= MAX_FLEETS:
            raise InvalidInput(f"{fleets} fleets; give 1 to {MAX_FLEETS:,}")
        if scenarios < 1 or fleets % scenarios:
            raise InvalidInput(f"{fleets} fleets cannot share {scenarios} scenarios; give a divisor of the fleets")
        self.parameters = parameters
        self.fleets, self.scenarios = fleets, scenarios
        self.weights = weights or RewardWeights()
        self.vary, self.stagger = vary, stagger
        self._constants, self._processes = Constants.of(parameters), Processes.of(parameters)
        self._nominal = max(float(self._processes.rate.sum()) * parameters.step_seconds, 1.0)
        prices = self._constants.token_usd.mean(axis=(0, 2))
        self._cheapest = int(np.argmin(prices))
        self.reset(seed)

    def reset(self, seed: int | None = None) -> States:
        """Begin new episodes in all fleets; with a seed, the same ones for the same seed."""
        if seed is not None:
            self._seed, self._step = seed, 0
        order = np.arange(self.fleets) % self.scenarios
        self._elapsed = (order * self.parameters.horizon // self.scenarios) * int(self.stagger)
        draws = draw_step(self._seed, self._step, self.scenarios)
        self._take(self._begun(np.arange(self.fleets), draws))
        self._step += 1
        return self._states

    @property
    def present(self) -> Present:
        """All that the next step goes on from."""
        return Present(self._state, self._outcome, self._states, self._smoothed, self._good, self._violations)

    @property
    def elapsed(self) -> NDArray[np.int64]:
        """Steps since each fleet's episode began, [B]."""
        return self._elapsed

    @property
    def knobs(self) -> Knobs:
        """The present knobs of all fleets."""
        return self._state.knobs

    @property
    def state(self) -> FleetState:
        """All that carries over to the next step."""
        return self._state

    @property
    def states(self) -> States:
        """What each agent sees now, float32 [B, size]."""
        return self._states

    def step(self, actions: Actions, *, hold: Mapping[str, Floats] | None = None) -> Step:
        """One step with the agents' actions; `hold` overrides knobs afterwards (an intervention).

        Raises:
            InvalidInput: an agent's actions are missing, of the wrong shape, or out of bounds.
        """
        taken = checked(actions, self.fleets)
        before = self._state.knobs
        clashes = conflicts.counted(taken, before)
        knobs = turned(before, taken, self._outcome, self._good, self._cheapest, self._constants.ablest)
        if hold:
            knobs = dataclasses.replace(knobs, **{name: self._held(name, value) for name, value in hold.items()})
        self._state.knobs = knobs
        measured, objectives = self._advance(clashes)
        self._elapsed = self._elapsed + 1
        truncated = self._elapsed >= self.parameters.horizon
        final_states, outcome = self._states, self._outcome
        if truncated.any():
            self._restart(truncated)
        return Step(
            states=self._states,
            rewards=objectives.reward.astype(np.float32),
            utilities={name: value.astype(np.float32) for name, value in objectives.utilities.items()},
            terminated=np.zeros(self.fleets, dtype=np.bool_),
            truncated=truncated,
            final_states=final_states,
            measured=measured,
            outcome=outcome,
            objectives=objectives,
            conflicts=clashes,
        )

    def branch(self, fleets: NDArray[np.int64], *, seed: int, scenarios: int | None = None) -> "FleetEnvironment":
        """An environment whose fleet j goes on from the present state of this one's fleet `fleets[j]`."""
        other = FleetEnvironment(
            self.parameters, len(fleets), seed=seed, scenarios=scenarios, weights=self.weights, vary=self.vary
        )
        columns = every(self._arrays(), lambda values: values[..., fleets])
        other.restore({**columns, "seed": seed, "step": 0})
        return other

    def parts(self) -> dict[str, Any]:
        """All that going on needs, as nested dicts of arrays and numbers."""
        return {**every(self._arrays(), np.copy), "seed": self._seed, "step": self._step}

    def restore(self, parts: dict[str, Any]) -> None:
        """Take in what `parts` gave, for the same number of fleets.

        Raises:
            InvalidInput: a part is missing or has another shape.
        """
        own = self._arrays()
        require_like(own, parts, "environment")
        state = parts["state"]
        self._state = FleetState(
            traffic=Traffic(**copied(state["traffic"])),
            knobs=Knobs(**copied(state["knobs"])),
            **{name: value.copy() for name, value in state.items() if name not in {"traffic", "knobs"}},
        )
        self._outcome = Outcome(**copied(parts["outcome"]))
        self._elapsed, self._smoothed = parts["elapsed"].copy(), parts["smoothed"].copy()
        self._good, self._violations = parts["good"].copy(), parts["violations"].copy()
        self._seed, self._step = int(parts["seed"]), int(parts["step"])
        measured = signals.measure(self._outcome)
        self._states = self._observed(
            self._state, self._outcome, measured, self._good, self._smoothed, self._violations
        )

    def _take(self, present: Present) -> None:
        self._state, self._outcome, self._states = present.state, present.outcome, present.states
        self._smoothed, self._good, self._violations = present.smoothed, present.good, present.violations

    def _advance(self, clashes: NDArray[np.int64]) -> tuple[Measured, Objectives]:
        draws = draw_step(self._seed, self._step, self.scenarios)
        repeats = self.fleets // self.scenarios
        if repeats > 1:
            draws = Draws(**{name: np.tile(value, repeats) for name, value in fields(draws).items()})
        present, measured, objectives = self._next(self._state, self._smoothed, draws, clashes)
        self._take(present)
        self._drawn = draws
        self._step += 1
        return measured, objectives

    def _next(
        self, state: FleetState, smoothed: Floats, draws: Draws, clashes: NDArray[np.int64]
    ) -> tuple[Present, Measured, Objectives]:
        """One step of some fleets, whichever they are."""
        after, outcome = advance(self._constants, self._processes, state, draws)
        measured = signals.measure(outcome)
        objectives = judged(self.parameters, self.weights, measured, clashes)
        good = signals.audited(measured, outcome, after.knobs.audit_share, draws)
        smoothed = smoothed + signals.SMOOTHING * (outcome.total("arrived") - smoothed)
        violations = objectives.violations
        states = self._observed(after, outcome, measured, good, smoothed, violations)
        return Present(after, outcome, states, smoothed, good, violations), measured, objectives

    def _begun(self, fleets: NDArray[np.int64], draws: Draws) -> Present:
        """What the agents of some fleets see before their first decision: one step under the default knobs."""
        traffic = self._processes.begin(self._seed, self._step, self.scenarios, vary=self.vary)
        scenarios = fleets % self.scenarios
        state = initial_state(self._constants, Traffic(**columns_of(fields(traffic), scenarios)))
        own = Draws(**columns_of(fields(draws), scenarios))
        smoothed = np.full(len(fleets), self._nominal)
        return self._next(state, smoothed, own, np.zeros(len(fleets), dtype=np.int64))[0]

    def _restart(self, ended: Booleans) -> None:
        """Begin new episodes in some fleets, with the draws of the step just taken; the others keep everything."""
        fleets = np.flatnonzero(ended)
        fresh = self._begun(fleets, self._drawn)
        # What was handed out with the step stays as it was.
        self._outcome = Outcome(**copied(fields(self._outcome)))
        # Laid out in memory as after any other step: products of matrices depend on that in their last bit, and an
        # environment that was restored here has to go on as this one.
        self._states = {agent: rows.copy(order="K") for agent, rows in self._states.items()}
        self._good, self._violations = self._good.copy(), self._violations.copy()
        self._state.knobs = Knobs(**copied(fields(self._state.knobs)))
        put(self._arrays(), fresh.tree(), fleets)
        for agent, rows in fresh.states.items():
            self._states[agent][fleets] = rows
        self._elapsed = np.where(ended, 0, self._elapsed)

    def _observed(
        self,
        state: FleetState,
        outcome: Outcome,
        measured: Measured,
        good: Floats,
        smoothed: Floats,
        violations: Floats,
    ) -> States:
        return signals.observe(
            self.parameters,
            self._constants.max_replicas,
            self._nominal,
            state,
            outcome,
            measured,
            good,
            smoothed,
            violations,
        )

    def _held(self, name: str, value: Floats) -> Floats:
        if name not in BOUNDS:
            raise InvalidInput(f"no knob is named {name!r}; knobs: {', '.join(BOUNDS)}")
        shape = getattr(self._state.knobs, name).shape
        return np.broadcast_to(np.asarray(value, dtype=np.float64), shape).copy()

    def _arrays(self) -> Tree:
        """All arrays that going on needs, not copied."""
        return {**self.present.tree(), "elapsed": self._elapsed}
