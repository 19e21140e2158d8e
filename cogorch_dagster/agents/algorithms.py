"""The algorithms by name, so that an agent can be made, and made again, from a configuration as JSON.

An algorithm is imported only when it is asked for; what it does belongs in the file of its name.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache, lru_cache
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
    `attribute` is the learner's under which it keeps its settings.
    """

    module: str
    learner: str
    settings: str
    sizes: tuple[str, ...] = ()
    attribute: str = "configuration"

    def load(self) -> tuple[type[Any], type[Any]]:
        """The classes of learner and settings; imports torch."""
        module = import_module(f"{__package__}.{self.module}")
        return getattr(module, self.learner), getattr(module, self.settings)


ALGORITHMS = {
    "dqn": Algorithm("dqn", "DQN", "DQNSettings", ("states", "actions", "seed"), "settings"),
    "a2c": Algorithm("a2c", "A2C", "A2CConfiguration"),
    "ppo": Algorithm("ppo", "PPO", "PPOConfiguration"),
    "ddpg": Algorithm("ddpg", "DDPG", "DDPGSettings", ("states", "dimensions", "seed"), "settings"),
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
    found: dict[str, Any] = json.loads(_completed(name, canonical_json(configuration)))
    return found


# A running agent that takes a version over has the same few configurations completed many times.
@lru_cache(maxsize=64)
def _completed(name: str, configuration: str) -> str:
    return canonical_json(_document(name, _settings(name, json.loads(configuration), (1, 2, 0))))


def configuration_of(learner: Learner) -> dict[str, Any]:
    """The complete configuration that a learner has now, what it adopted included; for the checkpoint of its parts."""
    return _document(learner.algorithm, getattr(learner, _algorithm(learner.algorithm).attribute))


def changed(name: str, settings: Any, configuration: Mapping[str, Any]) -> Any:
    """Settings (the algorithm's dataclass) with some of them changed, as JSON by name; sizes and seed stay.

    Raises:
        InvalidInput: an unknown algorithm or setting, or one out of its range.
    """
    sizes = tuple(getattr(settings, field) for field in _algorithm(name).sizes)
    return _settings(name, merged(_document(name, settings), configuration), sizes)


def merged(settings: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Settings with changes in their place; of a nested one only what the changes name, unless one of the two is None.

    >>> merged({"gamma": 0.9, "priorities": {"alpha": 0.6, "beta": 0.4}}, {"priorities": {"alpha": 0.5}})
    {'gamma': 0.9, 'priorities': {'alpha': 0.5, 'beta': 0.4}}
    """
    found = dict(settings)
    for name, value in changes.items():
        before = found.get(name)
        both = isinstance(before, Mapping) and isinstance(value, Mapping)
        found[name] = merged(cast(Mapping[str, Any], before), value) if both else value
    return found


def _algorithm(name: str) -> Algorithm:
    if name not in ALGORITHMS:
        raise InvalidInput(f"algorithm {name!r} is unknown; there are {', '.join(ALGORITHMS)}")
    return ALGORITHMS[name]


def _document(name: str, settings: Any) -> dict[str, Any]:
    sizes = _algorithm(name).sizes
    return as_document({key: value for key, value in asdict(settings).items() if key not in sizes})


def _settings(name: str, configuration: Mapping[str, Any], sizes: tuple[int, ...]) -> Any:
    algorithm = _algorithm(name)
    values = {**configuration, **dict(zip(algorithm.sizes, sizes, strict=False))}
    try:
        # From text and not from objects: in JSON a list is what a tuple of the settings is written as.
        found = _adapter(name).validate_json(canonical_json(values), strict=True)
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())
        raise InvalidInput(f"configuration of {name}: {faults}") from error
    known = {field: value for field, value in asdict(found).items() if field not in algorithm.sizes}
    _refuse_unknown(configuration, known, name)
    return found


@cache
def _adapter(name: str) -> TypeAdapter[Any]:
    return TypeAdapter(_algorithm(name).load()[1])  # which takes longer to make than to use


def _refuse_unknown(given: Mapping[str, Any], known: Mapping[str, Any], path: str) -> None:
    if unknown := sorted(given.keys() - known.keys()):
        raise InvalidInput(f"{path} has no setting {', '.join(unknown)}; its settings are {', '.join(sorted(known))}")
    for name, value in given.items():
        if isinstance(value, Mapping) and isinstance(known[name], Mapping):
            _refuse_unknown(value, known[name], f"{path}.{name}")
