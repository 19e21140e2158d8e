"""From a controller and a calibration to drafts: one for each policy, judged by itself, as each is decided by itself.

What is simulated beside a policy's document are the active ones of the other policies that were named with it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np

from cogorch_dagster.agents.controllers import Controller
from cogorch_dagster.agents.recommendation import off_policy, requirements
from cogorch_dagster.agents.recommendation.autoscaler_document import autoscaler_document
from cogorch_dagster.agents.recommendation.draft_document import DraftDocument
from cogorch_dagster.agents.recommendation.evidence import Source, evidence_of, refused_evidence
from cogorch_dagster.agents.recommendation.limits import Limits
from cogorch_dagster.agents.recommendation.off_policy import FromLogs
from cogorch_dagster.agents.recommendation.places import Places, models_of
from cogorch_dagster.agents.recommendation.router_document import router_document
from cogorch_dagster.agents.recommendation.selection import selected
from cogorch_dagster.agents.recommendation.simulation import Documents, documents_compared
from cogorch_dagster.agents.recommendation.trajectory import Trajectory, steered
from cogorch_dagster.errors import InvalidInput, Refused
from cogorch_dagster.evaluation.decisions import Decisions, read_decisions
from cogorch_dagster.evaluation.measurement import period
from cogorch_dagster.evaluation.router import tenant_weights_of
from cogorch_dagster.fleet.calibration.calibration import Calibration
from cogorch_dagster.fleet.objectives import RewardWeights
from cogorch_dagster.policies.document import digest
from cogorch_dagster.policies.store import PolicyVersion
from cogorch_dagster.proposals import drafts
from cogorch_dagster.proposals.drafts import Proposal, Refusal
from cogorch_dagster.proposals.limits import Limits as ProposalLimits
from cogorch_dagster.proposals.requirements import Insufficient
from cogorch_dagster.settings import Settings

ACTOR = "agents:recommendation"
KINDS = ("router", "autoscaler")
# Streams of seeds: what selects changes is not what reports on them.
COMPARISON, SELECTION = 1, 2


@dataclass(frozen=True)
class _Asked:
    """What holds for all policies of one request."""

    settings: Settings
    controller: Controller
    calibration: Calibration
    limits: Limits
    seed: int
    actor: str
    checkpoints: Mapping[str, str]
    weights: RewardWeights | None
    logs: tuple[datetime, datetime]
    run_id: str | None


def recommend(
    settings: Settings,
    policy_ids: Sequence[str],
    controller: Controller,
    calibration: Calibration,
    *,
    limits: Limits | None = None,
    seed: int = 0,
    actor: str = ACTOR,
    run_id: str | None = None,
    checkpoints: Mapping[str, str] | None = None,
    weights: RewardWeights | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> tuple[Proposal | Refusal, ...]:
    """Recommend what a controller arrives at in calibrated fleets, as a draft of each policy or a refusal of it.

    The same inputs (active versions, calibration, what the controller does, logs, limits, seed) give the same drafts,
    each stored once. Nothing is stored with a refusal, whose reasons are: uncalibrated, learning_disabled,
    unknown_policy, no_active_policy, decision_waiting, rejected_before, no_common_arm, unknown_component,
    nothing_recommended, no_simulated_traffic, simulated_bound_below_minimum_gain, promise_worse, stale_parent, and
    those of `policies.drafts.propose_version`.

    Args:
        policy_ids: at most one router, and autoscalers: one whose component names a model (`autoscaler:MODEL`) is of
            that model, one without a component of all models alike.
        seed: 0 to 2**63 - 1; the fleets that the controller steers and the fresh ones follow from it.
        checkpoints: by agent the digest of what the controller acts from, for the evidence.
        weights: of the reward that drafts are held to.
        since, until: of the logged decisions that a router's weights are held to; by default the last 7 days.

    Returns:
        One answer for each policy, in the order of `policy_ids`.

    Raises:
        InvalidInput: a policy named twice or of another kind, two routers, two autoscalers of one model, or a limit or
            seed out of bounds.
    """
    if len(set(policy_ids)) < len(policy_ids):
        raise InvalidInput(f"a policy is named twice in {', '.join(policy_ids)}; name each once")
    if not 0 <= seed < 2**63:
        raise InvalidInput(f"the seed must lie between 0 and 2**63 - 1, got {seed}")
    asked = _Asked(
        settings=settings,
        controller=controller,
        calibration=calibration,
        limits=limits or Limits(),
        seed=seed,
        actor=actor,
        checkpoints=checkpoints or {},
        weights=weights,
        logs=period(since, until),
        run_id=run_id,
    )
    ready = {policy_id: _ready(asked, policy_id) for policy_id in policy_ids}
    active = {name: each for name, each in ready.items() if isinstance(each, _Ready)}
    if not active:
        return tuple(each for each in ready.values() if isinstance(each, Refusal))
    documents = _documents(list(active.values()))
    limits = asked.limits
    trajectory = steered(
        controller,
        calibration.parameters,
        documents.knobs(),
        fleets=limits.fleets,
        steps=limits.steps,
        warm_up=limits.warm_up,
        seed=seed,
        weights=weights,
    )
    return tuple(
        each if isinstance(each, Refusal) else _answer(asked, each, documents, trajectory) for each in ready.values()
    )


@dataclass(frozen=True)
class _Ready:
    """A policy that may be improved now: its active version, and where it stands in the fleet."""

    version: PolicyVersion
    places: Places | None
    models: tuple[int, ...]


def _ready(asked: _Asked, policy_id: str) -> _Ready | Refusal:
    parameters = asked.calibration.parameters
    try:
        requirements.require_calibrated(asked.calibration)
        version = drafts.improvable(asked.settings, policy_id, KINDS)
        if version.kind == "router":
            return _Ready(version, Places.of(parameters, version.params["modelWeights"]), ())
        return _Ready(version, None, models_of(version.component, parameters))
    except Refused as refusal:
        return Refusal(refusal.reason, str(refusal), {})


def _documents(ready: Sequence[_Ready]) -> Documents:
    """The active documents together."""
    router: tuple[Mapping[str, Any], Places] | None = None
    autoscalers: dict[int, Mapping[str, Any]] = {}
    for each in ready:
        if each.places is not None:
            if router is not None:
                raise InvalidInput("two routers are named, but the simulated fleet has one; ask for each by itself")
            router = each.version.params, each.places
        for place in each.models:
            if place in autoscalers:
                raise InvalidInput(
                    f"{each.version.policy_id} and another autoscaler are of one model; name one of them"
                )
            autoscalers[place] = each.version.params
    return Documents(router, autoscalers)


def _answer(asked: _Asked, ready: _Ready, documents: Documents, trajectory: Trajectory) -> Proposal | Refusal:
    try:
        return _proposed(asked, ready, documents, trajectory)
    except Insufficient as refusal:
        return Refusal(refusal.reason, str(refusal), refusal.evidence)
    except Refused as refusal:
        return Refusal(refusal.reason, str(refusal), {})


def _proposed(asked: _Asked, ready: _Ready, documents: Documents, trajectory: Trajectory) -> Proposal:
    active = ready.version
    draft = _draft(asked, ready, documents, trajectory)
    logged = _logged(asked, ready)
    inputs = _inputs(asked, active, draft, documents, logged)
    if (same := drafts.same_draft(asked.settings, active, inputs)) is not None:
        return same
    source = _source(asked)
    compared = documents_compared(
        asked.calibration.parameters,
        documents,
        _with(documents, ready, draft.params),
        seeds=source.seeds,
        limits=asked.limits,
        weights=asked.weights,
    )
    shown = refused_evidence(source, draft, compared)
    requirements.require_gain(compared, shown, asked.limits)
    requirements.require_promises(compared, shown, asked.limits)
    answer = _from_logs(asked, active, draft, logged, inputs)
    evidence = evidence_of(source, draft, compared, answer, inputs=inputs)
    return drafts.stored(asked.settings, active, draft.params, evidence, asked.actor)


def _draft(asked: _Asked, ready: _Ready, documents: Documents, trajectory: Trajectory) -> DraftDocument:
    params = ready.version.params
    if ready.places is not None:
        draft = router_document(params, trajectory, ready.places, asked.limits)
    else:
        draft = autoscaler_document(params, trajectory, ready.models, asked.calibration.parameters, asked.limits)
    if not draft.changed:
        listed = "; ".join(f"{name}: {why}" for name, why in sorted(draft.kept.items()))
        raise Insufficient(
            "nothing_recommended",
            f"{asked.controller.name} comes to the parameters of {ready.version.ref} ({listed}); "
            "nothing is left to propose",
            {"kept": draft.kept, "arrived_at": draft.aims},
        )
    if ready.places is None:
        # Bounds and target of an autoscaler are one setting.
        return draft
    return selected(
        draft,
        params,
        lambda tried: _with(documents, ready, tried),
        asked.calibration.parameters,
        seeds=_seeds(asked, SELECTION),
        limits=asked.limits,
        weights=asked.weights,
    )


def _with(documents: Documents, ready: _Ready, params: dict[str, Any]) -> Documents:
    """The active documents with one policy's replaced."""
    if ready.places is not None:
        return replace(documents, router=(params, ready.places))
    return replace(documents, autoscalers={**documents.autoscalers, **dict.fromkeys(ready.models, params)})


def _logged(asked: _Asked, ready: _Ready) -> Decisions | None:
    if ready.places is None:
        return None
    since, until = asked.logs
    params = ready.version.params
    return read_decisions(
        asked.settings, ready.version.policy_id, since, until, seed=asked.seed, tenants=tenant_weights_of(params)
    )


def _from_logs(
    asked: _Asked, active: PolicyVersion, draft: DraftDocument, logged: Decisions | None, inputs: str
) -> FromLogs:
    if logged is None:
        return off_policy.not_about(draft.changed, "replicas are not drawn with a probability, so no log tells others")
    return off_policy.from_logs(
        asked.settings,
        active,
        draft.params,
        draft.changed,
        logged,
        limits=ProposalLimits(),
        seed=asked.seed,
        inputs=inputs,
    )


def _seeds(asked: _Asked, stream: int) -> tuple[int, ...]:
    """Fresh seeds; the seed itself is that of the fleets which the controller steered."""
    drawn = np.random.default_rng([asked.seed, stream]).integers(0, 2**63 - 1, asked.limits.seeds)
    return tuple(int(each) for each in drawn)


def _source(asked: _Asked) -> Source:
    return Source(
        controller=asked.controller.name,
        checkpoints=asked.checkpoints,
        calibration=asked.calibration,
        search_seed=asked.seed,
        seeds=_seeds(asked, COMPARISON),
        limits=asked.limits,
        run_id=asked.run_id,
    )


def _inputs(
    asked: _Asked, active: PolicyVersion, draft: DraftDocument, documents: Documents, logged: Decisions | None
) -> str:
    """Digest of everything that the draft and its evidence follow from."""
    return digest(
        {
            "active": [active.ref, active.digest],
            "beside": [None if documents.router is None else documents.router[0], list(documents.autoscalers.items())],
            "params": draft.params,
            "arrived_at": draft.aims,
            "controller": [asked.controller.name, dict(asked.checkpoints)],
            "calibration": asked.calibration.digest,
            "limits": vars(asked.limits),
            "weights": None if asked.weights is None else asked.weights.model_dump(mode="json"),
            "seed": asked.seed,
            "logs": None if logged is None else [logged.inputs, logged.usable],
        }
    )
