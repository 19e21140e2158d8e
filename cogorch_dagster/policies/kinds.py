"""The kinds of versioned documents and what their parameters may be.

Anything that is versioned, approved and rolled back is a kind: adding one is a model and an entry in `KINDS`.
JSON keys are camelCase; unknown keys are refused, so that a misspelt parameter never passes silently.
"""

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, Field, ValidationError, ValidationInfo, field_validator, model_validator

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.policies.document import as_document
from cogorch_dagster.policies.hyperparameters import A2CParams, DDPGParams, DQNParams, PPOParams
from cogorch_dagster.policies.schema import Params, problems_of

Share = Annotated[float, Field(ge=0, le=1)]
Milliseconds = Annotated[float, Field(gt=0, le=86_400_000)]
Cooldown = Annotated[float, Field(ge=0, le=86_400_000)]
Arm = Annotated[str, Field(min_length=1, max_length=200)]
Tenant = Annotated[str, Field(min_length=1, max_length=200)]


class RouterParams(Params):
    """Weights of the arms a router draws from, its targets, and when it falls back to another arm."""

    model_weights: dict[Arm, Share] = Field(min_length=1, max_length=1000, description="Sum 1, to within 1e-6.")
    # Left out where it is not given, so that documents keep the digests they had before it existed.
    tenant_weights: dict[Tenant, dict[Arm, Share]] | None = Field(
        default=None,
        min_length=1,
        max_length=100,
        exclude_if=lambda value: value is None,
        description="Instead of modelWeights for requests of these tenants; only arms that modelWeights names.",
    )
    latency_target_ms: Milliseconds
    max_cost_usd: float = Field(gt=0, le=1e6, description="Per request.")
    fallback_on: list[Literal["error", "timeout", "rate_limit"]] = Field(max_length=3)
    cooldown_ms: Cooldown = Field(description="How long an arm that failed is left out of the draw.")
    timeout_ms: Milliseconds = Field(description="Of one attempt.")

    @model_validator(mode="after")
    def _check(self) -> Self:
        total = math.fsum(self.model_weights.values())
        if abs(total - 1) > 1e-6:
            raise ValueError(f"modelWeights sum to {total:.9g}; they must sum to 1 (within 1e-6)")
        for tenant, weights in (self.tenant_weights or {}).items():
            if unknown := sorted(set(weights) - set(self.model_weights)):
                raise ValueError(f"tenantWeights.{tenant} names {', '.join(unknown)}, which modelWeights does not")
            total = math.fsum(weights.values())
            if abs(total - 1) > 1e-6:
                raise ValueError(f"tenantWeights.{tenant} sum to {total:.9g}; they must sum to 1 (within 1e-6)")
        if len(set(self.fallback_on)) != len(self.fallback_on):
            raise ValueError("fallbackOn names a condition twice")
        return self


class AutoscalerParams(Params):
    """Bounds and speed of a replica count that follows utilisation."""

    min_replicas: int = Field(ge=0, le=100_000)
    max_replicas: int = Field(ge=1, le=100_000)
    target_utilization: float = Field(gt=0, le=1, description="Share of capacity in use that is aimed at.")
    scale_up_step: int = Field(default=1, ge=1, le=10_000, description="Replicas added at once.")
    scale_down_step: int = Field(default=1, ge=1, le=10_000, description="Replicas removed at once.")
    scale_up_cooldown_ms: Cooldown = 0.0
    scale_down_cooldown_ms: Cooldown = 300_000.0

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.min_replicas > self.max_replicas:
            raise ValueError(f"minReplicas {self.min_replicas} is above maxReplicas {self.max_replicas}")
        return self


class CanaryParams(Params):
    """How an approved version takes over traffic: rising shares, each held until the evidence suffices.

    A share of 1 is the activation itself, and follows the last share below it whether it is named or not.
    """

    applies_to: str | None = Field(
        default=None, min_length=1, max_length=100, description="A policy id; null: every router without its own."
    )
    stages: list[Annotated[float, Field(gt=0, le=1)]] = Field(
        default=[0.01, 0.05, 0.1, 0.25, 0.5, 1.0],
        min_length=1,
        max_length=20,
        description="Share of traffic at each stage, strictly rising.",
    )
    gates: list[Annotated[float, Field(gt=0, lt=1)]] = Field(
        default=[], max_length=20, description="Stages that only a person passes, once the evidence suffices."
    )
    stage_duration_ms: Annotated[float, Field(gt=0, le=30 * 86_400_000)] = Field(description="The shortest stage.")
    min_samples: int = Field(ge=1, le=10_000_000, description="Scored decisions of each version per stage.")
    max_reward_drop: Share = Field(description="Mean reward of the new version may lie this far below the old one's.")
    max_error_rate_increase: Share
    max_latency_increase: float | None = Field(
        default=0.5,
        ge=0,
        le=100,
        description="Of the mean latency, as a share of the old version's; null: not watched.",
    )
    max_cost_increase: float | None = Field(
        default=0.5, ge=0, le=100, description="Of the mean cost, as a share of the old version's; null: not watched."
    )
    confidence: float = Field(default=0.95, gt=0.5, lt=1)

    @property
    def shares(self) -> tuple[float, ...]:
        """The stages that are judged: those below 1."""
        return tuple(share for share in self.stages if share < 1)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if any(after <= before for before, after in zip(self.stages, self.stages[1:], strict=False)):
            raise ValueError(f"stages {self.stages} must rise strictly")
        if strange := sorted(set(self.gates) - set(self.stages)):
            raise ValueError(f"gates {strange} are none of the stages {self.stages}")
        return self


class AppliesTo(Params):
    """Whose observations a reward configuration scores: one component, or all of a kind."""

    component_kind: Literal["llm_router", "autoscaler", "canary", "service", "cell"] | None = None
    component: str | None = Field(default=None, min_length=1, max_length=200)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.component_kind is None) == (self.component is None):
            raise ValueError("appliesTo names either componentKind or component; use null for the default of all")
        return self


class RewardParams(Params):
    """Weights of the reward of one observation, its scales and its thresholds.

    score = clamp(base + success·[success] + quality·q − latency·min(duration/maxLatencyMs, 1)
                  − cost·min(cost/maxCostUsd, 1) − error·[failure or timeout], 0, 1)
    """

    applies_to: AppliesTo | None = None
    base: Share = 0.25
    success_weight: Share = 0.6
    quality_weight: Share = 0.0
    latency_weight: Share = 0.25
    cost_weight: Share = 0.2
    error_weight: Share = 0.6
    max_latency_ms: Milliseconds = 4000.0
    max_cost_usd: float = Field(default=0.10, gt=0, le=1e6)
    min_acceptable: Share = Field(default=0.55, description="Below this mean reward tuning starts.")
    retrain: Share = Field(default=0.40, description="Below this mean reward agents are trained again.")

    @model_validator(mode="after")
    def _check(self) -> Self:
        # Failures are often faster and cheaper than successes; an ordering that rewards them is never wanted.
        # A score ends at 1: what a success would have above that does not set it apart from a failure.
        worst_success = min(self.base + self.success_weight - self.latency_weight - self.cost_weight, 1.0)
        best_failure = max(self.base + self.quality_weight - self.error_weight, 0.0)
        if worst_success <= best_failure + 1e-9:
            raise ValueError(
                f"a slow, expensive, wrong success would score {max(worst_success, 0.0):.4g}, not above a fast failure "
                f"({best_failure:.4g}); raise successWeight or errorWeight, or lower latencyWeight or costWeight"
            )
        if self.retrain > self.min_acceptable:
            raise ValueError(f"retrain {self.retrain} is above minAcceptable {self.min_acceptable}")
        return self


class GuardScope(Params):
    """What a guard rule is about: one policy, or all of a kind."""

    kind: str | None = None
    policy: str | None = Field(default=None, min_length=1, max_length=100)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.kind is None) == (self.policy is None):
            raise ValueError("appliesTo names either kind or policy; use null for all but guards")
        if self.kind is not None:
            model_of(self.kind)
        return self


class GuardExample(Params):
    """An input, or the part of one that the rule looks at, and whether the rule denies it."""

    input: dict[str, Any]
    denied: bool


class GuardParams(Params):
    """A rule in Rego that must hold whatever is proposed; `deny` in `package guard` says what is wrong."""

    description: str = Field(min_length=1, max_length=2000)
    applies_to: GuardScope | None = Field(default=None, description="Null: every policy but guards.")
    rego: Annotated[str, Field(min_length=1, max_length=20_000)]
    examples: list[GuardExample] = Field(default=[], max_length=50)

    @field_validator("rego")
    @classmethod
    def _compiles(cls, source: str, info: ValidationInfo) -> str:
        from cogorch_dagster.policies.guards import soundness

        scope = info.data.get("applies_to")
        parameters = parameter_names(scope.kind) if scope is not None and scope.kind is not None else None
        if found := soundness.problems(source, parameters):
            raise ValueError("; ".join(found))
        return source

    @model_validator(mode="after")
    def _keeps_its_word(self) -> Self:
        from cogorch_dagster.policies.guards import soundness

        examples = [each.model_dump() for each in self.examples]
        if found := soundness.example_problems(self.rego, self.description, examples):
            raise ValueError("; ".join(found))
        return self


KINDS: dict[str, type[BaseModel]] = {
    "router": RouterParams,
    "autoscaler": AutoscalerParams,
    "canary": CanaryParams,
    "reward": RewardParams,
    "guard": GuardParams,
    "dqn": DQNParams,
    "a2c": A2CParams,
    "ppo": PPOParams,
    "ddpg": DDPGParams,
}


def model_of(kind: str) -> type[BaseModel]:
    """The parameter model of a kind.

    Raises:
        InvalidInput: no such kind.
    """
    if kind not in KINDS:
        raise InvalidInput(f"unknown kind {kind!r}; known kinds: {', '.join(sorted(KINDS))}")
    return KINDS[kind]


def parameter_names(kind: str) -> tuple[str, ...]:
    """The names of a kind's parameters, as they stand in a document."""
    return tuple(field.alias or name for name, field in model_of(kind).model_fields.items())


def validated(kind: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """The complete document of a kind, defaults filled in, keys in camelCase, ready to be stored and digested.

    Raises:
        InvalidInput: unknown kind, or every parameter that is wrong, each on a line of its own.
    """
    model_class = model_of(kind)
    try:
        model = model_class.model_validate(dict(params), by_alias=True, by_name=False)
    except ValidationError as error:
        problems = "\n".join(f"  {problem}" for _, problem in problems_of(error, model_class))
        raise InvalidInput(f"parameters of kind {kind} are not valid:\n{problems}") from error
    return as_document(model.model_dump(mode="json", by_alias=True))
