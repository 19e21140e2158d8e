"""The router's decisions as plain values: what a policy says, which arms can be drawn, and with which probability.

The propensity that is logged is the probability with which this very draw chose the arm: the policy's weight
renormalised over the draw's action set. The action set holds every arm that was available, also one of weight 0, so
that the probability under any other weights can be computed from it.
"""

import math
import random
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

from cogorch_dagster.errors import InvalidInput

FailureKind = Literal["error", "timeout", "rate_limit"]


@dataclass(frozen=True)
class RouterPolicy:
    """One version of a router's parameters; times in ms, costs in USD.

    `tenant_weights` take the place of `weights` for the tenants they name, see `of_tenant`. `latency_target_ms` and
    `max_cost_usd` are targets: the router counts the answers that miss them, it cuts nothing.
    """

    policy_id: str
    version: str
    digest: str
    weights: Mapping[str, float]
    timeout_ms: float
    cooldown_ms: float
    fallback_on: frozenset[FailureKind]
    latency_target_ms: float
    max_cost_usd: float
    tenant_weights: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    @classmethod
    def read(
        cls, policy_id: str, version: str, digest: str, params: Mapping[str, Any], arms: Collection[str]
    ) -> "RouterPolicy":
        """The policy in a document's parameters.

        Raises:
            InvalidInput: a parameter is missing, the weights do not sum to 1, or an arm is none of `arms`.
        """
        try:
            policy = cls(
                policy_id,
                version,
                digest,
                weights={str(arm): float(weight) for arm, weight in params["modelWeights"].items()},
                timeout_ms=float(params["timeoutMs"]),
                cooldown_ms=float(params["cooldownMs"]),
                fallback_on=frozenset(params["fallbackOn"]),
                latency_target_ms=float(params["latencyTargetMs"]),
                max_cost_usd=float(params["maxCostUsd"]),
                tenant_weights={
                    str(tenant): {str(arm): float(weight) for arm, weight in weights.items()}
                    for tenant, weights in (params.get("tenantWeights") or {}).items()
                },
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InvalidInput(f"{policy_id}@{version} is no router policy: {error!r}.") from error
        name = f"{policy_id}@{version}"
        if unknown := sorted({*policy.weights}.union(*policy.tenant_weights.values()) - set(arms)):
            raise InvalidInput(f"{name} names {', '.join(unknown)}; this router knows {', '.join(sorted(arms))}.")
        for which, weights in {"weights": policy.weights, **policy.tenant_weights}.items():
            if min(weights.values(), default=-1) < 0 or not math.isclose(sum(weights.values()), 1.0, abs_tol=1e-6):
                of = which if weights is policy.weights else f"weights for tenant {which}"
                raise InvalidInput(f"{name} has {of} {dict(weights)}; they must be >= 0 and sum to 1.")
        if strange := sorted(policy.fallback_on - set(get_args(FailureKind))):
            raise InvalidInput(f"{name} falls back on {', '.join(strange)}; known: {', '.join(get_args(FailureKind))}.")
        return policy

    def of_tenant(self, tenant: str | None) -> "RouterPolicy":
        """The policy as it is for one tenant's requests, over the same arms."""
        if tenant is None or tenant not in self.tenant_weights:
            return self
        return replace(self, weights={**dict.fromkeys(self.weights, 0.0), **self.tenant_weights[tenant]})


@dataclass(frozen=True)
class Draw:
    """An arm, the probability with which it was drawn, and the arms that were available.

    `all_cooling`: every arm that could have been drawn was cooling down, so cooling down was set aside.
    """

    arm: str
    propensity: float
    action_set: tuple[str, ...]
    all_cooling: bool


def draw(
    policy: RouterPolicy, cooling: Collection[str], tried: Collection[str], generator: random.Random
) -> Draw | None:
    """Draw one arm among those neither cooling down nor already tried for this request.

    When nothing of positive weight is left but arms that cool down, they are drawn from too: a doubtful answer is
    worth more than none. None when every arm of positive weight was tried: an arm of weight 0 is switched off, and a
    fallback does not switch it on.
    """
    action_set, all_cooling = _action_set(policy, cooling, tried)
    total = sum(policy.weights[arm] for arm in action_set)
    if total <= 0:
        return None
    arm = generator.choices(action_set, [policy.weights[arm] for arm in action_set])[0]
    return Draw(arm, policy.weights[arm] / total, action_set, all_cooling)


def probabilities(policy: RouterPolicy, cooling: Collection[str], tried: Collection[str]) -> dict[str, float]:
    """With which probability `draw` chooses each arm; empty when it chooses none."""
    action_set, _ = _action_set(policy, cooling, tried)
    total = sum(policy.weights[arm] for arm in action_set)
    return {arm: policy.weights[arm] / total for arm in action_set} if total > 0 else {}


def _action_set(policy: RouterPolicy, cooling: Collection[str], tried: Collection[str]) -> tuple[tuple[str, ...], bool]:
    """The arms that can be drawn, and whether cooling down was set aside for that."""
    untried = tuple(sorted(set(policy.weights) - set(tried)))
    available = tuple(arm for arm in untried if arm not in cooling)
    all_cooling = sum(policy.weights[arm] for arm in available) <= 0
    return (untried if all_cooling else available), all_cooling


class Cooldowns:
    """Which arms rest after a failure, and until when (seconds of a monotonic clock)."""

    def __init__(self) -> None:
        self._until: dict[str, float] = {}

    def rest(self, arm: str, until: float) -> None:
        """Let an arm rest until then; never shortens a rest."""
        self._until[arm] = max(until, self._until.get(arm, -math.inf))

    def cooling(self, now: float) -> frozenset[str]:
        return frozenset(arm for arm, until in self._until.items() if until > now)
