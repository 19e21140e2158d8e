"""Reward models as versions of the registry: what they hold, and which one is used."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from cogorch_dagster.errors import InvalidInput, Refused
from cogorch_dagster.features.decision_rewards import DecisionRewards
from cogorch_dagster.policies.document import canonical_json
from cogorch_dagster.registry import store as registry
from cogorch_dagster.registry.records import Lineage, Registered
from cogorch_dagster.registry.retention import Retention
from cogorch_dagster.settings import Settings

PREFIX, MODEL = "reward-model-", "model.json"
NEWEST = 10
"""So many versions of a policy stay, however old."""


@dataclass(frozen=True)
class Champion:
    """The reward model that is used, and which version it is."""

    version: Registered
    rewards: DecisionRewards


def name_of(policy_id: str) -> str:
    """The name of a policy's versions, such as `reward-model-router-core`."""
    return f"{PREFIX}{policy_id}"


def register_reward_model(
    settings: Settings,
    scope: str,
    document: Mapping[str, Any],
    *,
    params: Mapping[str, Any],
    metrics: Mapping[str, float],
    lineage: Lineage,
    tags: Mapping[str, str] | None = None,
) -> Registered:
    """Register a reward model, all of which is a JSON object, as `reward-model-<scope>`."""
    files = {MODEL: content_of(document)}
    return registry.register(
        settings, name_of(scope), files, params=params, metrics=metrics, lineage=lineage, tags=tags
    )


def content_of(document: Mapping[str, Any]) -> bytes:
    """The file of a reward model. Raises InvalidInput for what is not JSON, with its path."""
    canonical_json(document)
    return json.dumps(document, sort_keys=True, indent=1, allow_nan=False, default=dict).encode()


def champion(settings: Settings, policy_id: str) -> Champion | None:
    """The reward model of a policy that is used, None before the first.

    Raises:
        Refused: its file is missing or damaged. InvalidInput: it is of another format.
    """
    try:
        found = registry.get(settings, name_of(policy_id), "champion")
    except Refused as refusal:
        if refusal.reason != "unknown_version":
            raise
        return None
    return Champion(found, rewards_of(settings, found))


def in_use(settings: Settings) -> list[Registered]:
    """The champion and the candidate of every policy."""
    return [
        each
        for name in registry.names(settings)
        if name.startswith(PREFIX)
        for each in registry.versions(settings, name)
        if {"champion", "candidate"} & set(each.aliases)
    ]


def retention(settings: Settings, newest: int = NEWEST) -> Retention:
    """How long versions are kept that are not in use: `reward_model_days`, and the newest of each policy for ever.

    Raises:
        InvalidInput: `newest` is less than 1.
    """
    return Retention(PREFIX, timedelta(days=settings.reward_model_days), newest)


def rewards_of(settings: Settings, version: Registered) -> DecisionRewards:
    """What a version holds.

    Raises:
        InvalidInput: the version is no reward model. Refused: its file is missing or damaged.
    """
    if MODEL not in version.files or not version.name.startswith(PREFIX):
        raise InvalidInput(f"{version.ref} holds {', '.join(version.files)}, not a reward model")
    return DecisionRewards.of(json.loads(registry.load(settings, version)[MODEL]))
