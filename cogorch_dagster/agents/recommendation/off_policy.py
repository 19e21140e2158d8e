"""What the logs say of a recommended router's weights, by the code that judges every proposal.

The weights were chosen in a simulator, not from these decisions' rewards, so all of them estimate. Only weights can be
judged so: the logs hold the probability of each arm, and nothing of other timeouts, targets or replicas.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from cogorch_dagster.errors import Refused
from cogorch_dagster.evaluation.decisions import Decisions
from cogorch_dagster.evaluation.router import table, weights_of
from cogorch_dagster.policies.store import PolicyVersion
from cogorch_dagster.proposals import requirements, settling
from cogorch_dagster.proposals.limits import Limits
from cogorch_dagster.proposals.measured import Measured, measured
from cogorch_dagster.settings import Settings

MEASURABLE = "modelWeights"


@dataclass(frozen=True)
class FromLogs:
    """The answer of the logs.

    Attributes:
        measured: estimates; None where the logs do not allow any.
        reason, message: why not, or why the estimates alone would not carry the proposal; None where they would.
        silent_on: changed parameters that the logs say nothing of.
    """

    measured: Measured | None
    reason: str | None
    message: str | None
    silent_on: tuple[str, ...] = ()

    @property
    def carries(self) -> bool:
        """Whether this alone would have been enough to propose the whole document."""
        return self.measured is not None and self.reason is None and not self.silent_on

    def document(self) -> dict[str, Any]:
        """For the evidence."""
        found = self.measured
        return {
            "answered": found is not None,
            "reason": self.reason,
            "message": self.message,
            "covers": [MEASURABLE] if found is not None else [],
            "silent_on": list(self.silent_on),
            **(
                {}
                if found is None
                else {"estimate": found.dr.value, "ci95": list(found.dr.ci95), "limits": found.document["limits"]}
            ),
        }


def not_about(changed: Collection[str], why: str) -> FromLogs:
    """The answer where nothing that changed can be found in the logs."""
    return FromLogs(None, "not_logged", why, tuple(changed))


def from_logs(
    settings: Settings,
    active: PolicyVersion,
    params: dict[str, Any],
    changed: Collection[str],
    decisions: Decisions,
    *,
    limits: Limits,
    seed: int,
    inputs: str,
) -> FromLogs:
    """Judge a router's recommended parameters by its logged decisions, as `read_decisions` gives them."""
    silent = tuple(name for name in changed if name != MEASURABLE)
    if MEASURABLE not in changed:
        return not_about(silent, "no weight changes; the logs hold the probability of each arm and nothing else")
    before, after = weights_of(active.params), weights_of(params)
    found: Measured | None = None
    try:
        settling.require_judged(settings, active, decisions)
        requirements.require_decisions(active, decisions, limits)
        patterns = decisions.patterns(arms=list(before))
        requirements.require_overlap(active, patterns, before, limits)
        estimated = measured(
            active,
            decisions,
            patterns,
            table(patterns, params),
            table(patterns, active.params),
            weights={arm: (before[arm], after[arm]) for arm in before},
            tenants=(),
            limits=limits,
            seed=seed,
            inputs=inputs,
        )
        requirements.require_support(estimated.candidate, estimated.document, limits)
        found = estimated
        requirements.require_gain(estimated.dr, estimated.snips, estimated.document, limits)
    except Refused as refusal:
        return FromLogs(found, refusal.reason, str(refusal), silent)
    return FromLogs(found, None, None, silent)
