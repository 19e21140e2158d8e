"""The algorithms by name, so that an agent can be made, and made again, from a configuration as JSON.

An algorithm is imported only when it is asked for; what it does belongs in the file of its name.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib import import_module
from typing import Any, cast

from pydantic import TypeAdapter, ValidationError

from cogorch_dagster.agents.learner import Learner
from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.policies.document import as_document, canonical_json


@dataclass(frozen=True)
class Algorithm:
    """Where an algorithm is: a module beside this one, its learner, and the dataclass of its settings.

    `sizes` are the fields of the settings that hold the dimensions of a state, the number of actions (or dimensions of
    one) and the seed, for a learner that takes its settings only; empty for one that takes them as arguments.
    """

    module: str
    learner: str
    settings: str
    sizes: tuple[str, ...] = ()

    def load(self) -> tuple[type[Any], type[Any]]:
        """The classes of learner and settings; imports torch."""
        module = import_module(f"{__package__}.{self.module}")
        return getattr(module, self.learner), getattr(module, self.settings)


ALGORITHMS = {
    "dqn": Algorithm("dqn", "DQN", "DQNSettings", ("states", "actions", "seed")),
    "a2c": Algorithm("a2c", "A2C", "A2CConfiguration"),
    "ppo": Algorithm("ppo", "PPO", "PPOConfiguration"),
    "ddpg": Algorithm("ddpg", "DDPG", "DDPGSettings", ("states", "dimensions", "seed")),
}


def learner(name: str, configuration: Mapping[str, Any], *, states: int, actions: int, seed: int) -> Learner:
    """A new agent.

    Args:
        name: dqn, a2c, ppo or ddpg.
        configuration: settings of the algorithm by name, as JSON; those left out have their defaults.
        states: dimensions of a state.
        actions: number of discrete actions, or dimensions of a continuous one.
        seed: of its weights and of everything random after them.

    Raises:
        InvalidInput: an unknown algorithm or setting, or one out of its range.
    """
    algorithm = _algorithm(name)
    kind = algorithm.load()[0]
    settings = _settings(name, configuration, (states, actions, seed))
    if algorithm.sizes:
        return cast(Learner, kind(settings))
    return cast(Learner, kind(settings, states=states, actions=actions, seed=seed))


def complete(name: str, configuration: Mapping[str, Any]) -> dict[str, Any]:
    """The whole configuration as JSON, with defaults for what was left out; sizes and seed are no part of it.

    Two agents of equal complete configurations and sizes can take in each other's parts.

    Raises:
        InvalidInput: an unknown algorithm or setting, or one out of its range.
    """
    found = asdict(_settings(name, configuration, (1, 2, 0)))
    return as_document({key: value for key, value in found.items() if key not in _algorithm(name).sizes})


def _algorithm(name: str) -> Algorithm:
    if name not in ALGORITHMS:
        raise InvalidInput(f"algorithm {name!r} is unknown; there are {', '.join(ALGORITHMS)}")
    return ALGORITHMS[name]


def _settings(name: str, configuration: Mapping[str, Any], sizes: tuple[int, int, int]) -> Any:
    algorithm = _algorithm(name)
    kind = algorithm.load()[1]
    values = {**configuration, **dict(zip(algorithm.sizes, sizes, strict=False))}
    try:
        # From text and not from objects: in JSON a list is what a tuple of the settings is written as.
        found = TypeAdapter(kind).validate_json(canonical_json(values), strict=True)
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())
        raise InvalidInput(f"configuration of {name}: {faults}") from error
    known = {field: value for field, value in asdict(found).items() if field not in algorithm.sizes}
    _refuse_unknown(configuration, known, name)
    return found


def _refuse_unknown(given: Mapping[str, Any], known: Mapping[str, Any], path: str) -> None:
    if unknown := sorted(given.keys() - known.keys()):
        raise InvalidInput(f"{path} has no setting {', '.join(unknown)}; its settings are {', '.join(sorted(known))}")
    for name, value in given.items():
        if isinstance(value, Mapping) and isinstance(known[name], Mapping):
            _refuse_unknown(value, known[name], f"{path}.{name}")
