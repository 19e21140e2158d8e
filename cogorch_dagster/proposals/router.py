"""Proposals for a router: the weights whose lower bound of the improvement is highest, held to independent evidence.

The decisions are split in two by a hash of their id. One half chooses the weights, the other, which has not seen the
choice, estimates them; so the estimate of the chosen weights is not inflated by having been chosen. Where features of
the policy's decisions are in force, the model of the reward behind the second estimate uses them. What the estimates
are is `measured`, what becomes of a draft `drafts`.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from cogorch_dagster.errors import Refused
from cogorch_dagster.evaluation.decision_rows import read_log
from cogorch_dagster.evaluation.decisions import HALVES, Decisions
from cogorch_dagster.evaluation.known_features import Featured, KnownFeatures, featured
from cogorch_dagster.evaluation.measurement import period
from cogorch_dagster.evaluation.patterns import Floats, Patterns
from cogorch_dagster.evaluation.router import tenant_weights_of, weights_of
from cogorch_dagster.features.in_force import in_force
from cogorch_dagster.policies.store import PolicyVersion
from cogorch_dagster.proposals import drafts, requirements, settling, slices
from cogorch_dagster.proposals.drafts import Proposal, Refusal
from cogorch_dagster.proposals.evidence import by_arm
from cogorch_dagster.proposals.limits import Limits
from cogorch_dagster.proposals.measured import measured
from cogorch_dagster.proposals.requirements import Insufficient
from cogorch_dagster.proposals.search import Objective, Region, best_weights
from cogorch_dagster.settings import Settings

__all__ = ["ACTOR", "Proposal", "Refusal", "propose"]

ACTOR = "proposals:router"
SEARCH_HALF, ESTIMATION_HALF = range(HALVES)


def propose(
    settings: Settings,
    policy_id: str,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    limits: Limits | None = None,
    feedback_delay: timedelta | None = None,
    seed: int = 0,
    actor: str = ACTOR,
) -> Proposal | Refusal:
    """Propose better weights for a router from its decisions in [since, until), by default of the last 7 days.

    A proposal is stored as a draft and its policy's mode is applied. The same inputs give the same draft, stored once.
    Nothing is stored with a refusal, whose reasons are: learning_disabled, no_active_policy, decision_waiting,
    single_arm, rejected_before, unjudged, too_few_decisions, unsettled, missing_feedback, missing_overlap,
    small_effective_sample, bound_below_minimum_gain, stale_parent, and those of `policies.drafts.propose_version`.

    Raises:
        InvalidInput: the policy is no router, or a limit is out of bounds.
    """
    limits = limits or Limits()
    since, until = period(since, until)
    try:
        active = _ready(settings, policy_id)
        known = in_force(settings, policy_id, since)
        found, rows = read_log(
            settings,
            policy_id,
            since,
            until,
            seed=seed,
            feedback_delay=feedback_delay,
            tenants=tenant_weights_of(active.params),
            one_by_one=known is not None,
        )
        settling.require_judged(settings, active, found)
        inputs = _inputs(active, found, limits, seed, known)
        if (draft := drafts.same_draft(settings, active, inputs)) is not None:
            return draft

        def by_features(arms: tuple[str, ...]) -> Featured | None:
            if known is None or rows is None:
                return None
            return featured(rows, known, since, until, arms=arms, half=ESTIMATION_HALF)

        params, evidence = _candidate(active, found, limits, seed, inputs, by_features)
        return drafts.stored(settings, active, params, evidence, actor)
    except Insufficient as refusal:
        return Refusal(refusal.reason, str(refusal), refusal.evidence)
    except Refused as refusal:
        return Refusal(refusal.reason, str(refusal), {})


def _ready(settings: Settings, policy_id: str) -> PolicyVersion:
    """The active version, if a proposal for it may be made now."""
    active = drafts.improvable(settings, policy_id, ("router",))
    used = sum(weight > 0 for weight in weights_of(active.params).values())
    if used < 2:
        raise Refused(
            "single_arm",
            f"{active.ref} gives weight to {used} arm; nothing can be learnt about others. "
            "Propose a version by hand that gives at least 2 arms some weight.",
        )
    return active


def _candidate(
    active: PolicyVersion,
    found: Decisions,
    limits: Limits,
    seed: int,
    inputs: str,
    by_features: Callable[[tuple[str, ...]], Featured | None],
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Parameters and evidence of the best candidate that the evidence supports.

    Args:
        by_features: the half that estimates with a model of its rewards by features, over the logged and these arms.
    """
    before, by_tenant = weights_of(active.params), tenant_weights_of(active.params)
    requirements.require_decisions(active, found, limits)
    halves = [found.patterns(half, list(before)) for half in range(HALVES)]
    for half in halves:
        requirements.require_overlap(active, half, before, limits)
    search, independent = halves[SEARCH_HALF], halves[ESTIMATION_HALF]
    old = search.weights(before)
    new = _for_everybody(search, old, by_tenant, limits, seed)
    # A tenant that has weights of its own keeps them unless better ones are found.
    own = {tenant: search.weights(weights) for tenant, weights in by_tenant.items()}
    names = {*search.tenants, *independent.tenants}
    otherwise = {tenant: own.get(tenant, new) for tenant in names}
    tried = slices.candidates(search, {tenant: own.get(tenant, old) for tenant in names}, otherwise, limits, seed)
    choices = slices.confirmed(independent, tried, otherwise, limits)
    own_after = own | {each.tenant: each.weights for each in choices if each.used}
    new_table, old_table = (
        np.array([table.get(tenant, everybody) for tenant in independent.tenants])
        for everybody, table in ((new, own_after), (old, own))
    )
    after = by_arm(independent, new, before)
    found_out = measured(
        active,
        found,
        independent,
        new_table,
        old_table,
        by_features=by_features(tuple(before)),
        weights={arm: (before[arm], after[arm]) for arm in before},
        tenants=choices,
        limits=limits,
        seed=seed,
        inputs=inputs,
    )
    found_out.require(limits)
    params = {**active.params, "modelWeights": after}
    if own_after:
        params["tenantWeights"] = {
            tenant: by_arm(independent, weights, before) for tenant, weights in sorted(own_after.items())
        }
    return params, found_out.document


def _for_everybody(search: Patterns, old: Floats, by_tenant: Mapping[str, object], limits: Limits, seed: int) -> Floats:
    """The best weights for the tenants that have none of their own."""
    served = np.array([tenant not in by_tenant for tenant in search.tenants])
    rows = np.flatnonzero(served[search.states.tenant[search.state[:, 0]]])
    if not len(rows):
        return old
    region = Region.around(old, limits.step_limit, limits.floor)
    return best_weights(Objective(search.rows(rows), old, limits.minimum_ess), region, seed=seed)


def _inputs(active: PolicyVersion, found: Decisions, limits: Limits, seed: int, features: KnownFeatures | None) -> str:
    used: list[object] = [found.inputs, found.usable, active.version, active.digest, asdict(limits), seed]
    used += [] if features is None else [features.version]
    return "sha256:" + hashlib.sha256(json.dumps(used, sort_keys=True).encode()).hexdigest()
