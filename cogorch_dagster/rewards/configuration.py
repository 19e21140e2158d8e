"""Which reward configuration scores which component: the active policy documents of kind `reward`.

The most specific one holds: the component's own, else that of its kind, else the default.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import sqlalchemy as sa

from cogorch_dagster.platform.tables import policies, policy_versions
from cogorch_dagster.policies import document
from cogorch_dagster.policies.kinds import RewardParams, validated


@dataclass(frozen=True)
class RewardConfig:
    """One version of a reward configuration."""

    policy_id: str
    version: str
    digest: str
    params: RewardParams

    @property
    def component(self) -> str | None:
        """The component it is for, None when it is for a kind or for all."""
        return self.params.applies_to.component if self.params.applies_to else None

    @property
    def component_kind(self) -> str | None:
        """The kind it is for, None when it is for one component or for all."""
        return self.params.applies_to.component_kind if self.params.applies_to else None


# What scores when no active document is for all components: the defaults of the schema, as `reward-default` is seeded.
BUILT_IN = RewardConfig("reward-default", "1.0.0", document.digest(validated("reward", {})), RewardParams())


@dataclass(frozen=True)
class RewardConfigs:
    """The active configurations; of two for the same components the later in the tuple holds."""

    configs: tuple[RewardConfig, ...] = ()

    def resolve(self, component: str, component_kind: str) -> RewardConfig:
        """The configuration that scores a component."""
        own = self._by_component.get(component)
        return own or self._by_kind.get(component_kind) or self._by_kind.get(None) or BUILT_IN

    @cached_property
    def digest(self) -> str:
        """sha256 over all of them."""
        names = "\n".join(f"{config.policy_id}@{config.version}={config.digest}" for config in self.configs)
        return hashlib.sha256(names.encode()).hexdigest()

    @cached_property
    def _by_component(self) -> dict[str, RewardConfig]:
        return {config.component: config for config in self.configs if config.component is not None}

    @cached_property
    def _by_kind(self) -> dict[str | None, RewardConfig]:
        return {config.component_kind: config for config in self.configs if config.component is None}


def active_configurations(connection: sa.Connection) -> RewardConfigs:
    """The reward configurations in force; of two that are for the same components the one activated last holds."""
    query = (
        sa.select(
            policy_versions.c.policy_id, policy_versions.c.version, policy_versions.c.digest, policy_versions.c.params
        )
        .join(policies, policies.c.policy_id == policy_versions.c.policy_id)
        .where(policies.c.kind == "reward", policy_versions.c.status == "active")
        .order_by(policy_versions.c.activated_at.nulls_first(), policy_versions.c.policy_id)
    )
    return of_documents((row.policy_id, row.version, row.digest, row.params) for row in connection.execute(query))


def of_documents(rows: Iterable[tuple[str, str, str, dict[str, object]]]) -> RewardConfigs:
    """Configurations from (policy id, version, digest, params document), those that hold last."""
    return RewardConfigs(
        tuple(
            RewardConfig(policy_id, version, digest, RewardParams.model_validate(params, by_alias=True, by_name=False))
            for policy_id, version, digest, params in rows
        )
    )
