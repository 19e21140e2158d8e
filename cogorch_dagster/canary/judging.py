"""What the decisions of a trial say about a ramp: the comparison since its beginning, and one that watches lately.

The comparison since the beginning stratifies by step, since a share that rises while the traffic changes would
otherwise pass the hour for the version (Simpson's paradox in ramps). It lets a version pass.

A fault that begins late in a long step, or at a gate after hours, is thinned there by everything that went well before.
So the current step is also cut into blocks of decisions of the canary, and each block is compared anew. Block k spends
the part 1 / (k (k + 1)) of its error budget, which sums to the whole however long a version waits; it can only stop.
Both comparisons have half of the ramp's error probability: a version that is no worse is rolled back with at most
1 - confidence over its whole ramp.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from cogorch_dagster.evaluation import trial
from cogorch_dagster.evaluation.sequential.judgement import (
    ArmData,
    Guardrail,
    GuardrailState,
    Judgement,
    Step,
    Verdict,
)
from cogorch_dagster.evaluation.sequential.moments import Sample
from cogorch_dagster.evaluation.sequential.verdict import judge_steps
from cogorch_dagster.evaluation.trial import Trial
from cogorch_dagster.policies.ramps import Ramp

ERRORS, LATENCY, COST = "error_rate", "latency_ms", "cost_usd"
_COLUMNS = {ERRORS: "failed", LATENCY: "duration_ms", COST: "cost_usd"}
MISMATCH_ALPHA = 0.001
BLOCK_SAMPLES = 2
"""Length of a block in `min_samples` of the plan."""


@dataclass(frozen=True)
class Opinion:
    """What is known of a ramp now.

    Attributes:
        whole: the comparison since the ramp began.
        lately: the latest blocks of the current step, the newest last; empty before the first decision.
        at_step: scored decisions (or units) of the control and of the canary at the current share.
        asked_at_step: decisions of both that began at the current share, scored or not.
    """

    whole: Judgement
    lately: tuple[Judgement, ...]
    at_step: tuple[int, int]
    asked_at_step: int

    @property
    def objection(self) -> str | None:
        """Why the canary must go back, in a sentence; None when nothing speaks against it."""
        for judgement in (self.whole, *self.lately):
            if judgement.verdict in (Verdict.worse, Verdict.invalid) or judgement.breached:
                return judgement.reason
        return None

    def passes(self, max_reward_drop: float) -> bool:
        """Whether it is certain that the canary is no worse than the margins of its plan allow."""
        if self.objection is not None or any(each.state is GuardrailState.undecided for each in self.whole.metrics):
            return False
        if self.whole.verdict in (Verdict.better, Verdict.equivalent):
            return True
        return self.whole.interval is not None and self.whole.interval[0] > -max_reward_drop

    def consent(self, max_reward_drop: float) -> str:
        """Why the canary may go on, in a sentence; asked only where it passes."""
        if self.whole.verdict in (Verdict.better, Verdict.equivalent) or self.whole.interval is None:
            return self.whole.reason
        low, high = self.whole.interval
        return (
            f"No worse: the reward changed by {self.whole.difference:+.4f} (interval {low:.4f} to {high:.4f}, "
            f"{self.whole.n_control:,} control and {self.whole.n_treatment:,} canary rewards), for certain not by the "
            f"accepted drop of {max_reward_drop:g}; all {len(self.whole.metrics)} guardrails hold."
        )

    def document(self) -> dict[str, Any]:
        """For the audit log: the verdict that counts, its numbers, and those behind it."""
        stopping = [each for each in self.lately if each.verdict in (Verdict.worse, Verdict.invalid)]
        counts = self.whole if self.whole.verdict in (Verdict.worse, Verdict.invalid) or not stopping else stopping[0]
        return {
            "verdict": counts.verdict.value,
            "reason": counts.reason,
            "difference": counts.difference,
            "interval": counts.interval and list(counts.interval),
            "n_control": counts.n_control,
            "n_canary": counts.n_treatment,
            "since": "the beginning of the ramp" if counts is self.whole else "the latest block of decisions",
            "at_step": {"control": self.at_step[0], "canary": self.at_step[1], "asked": self.asked_at_step},
            "guardrails": [_metric(asdict(each)) for each in counts.metrics],
        }


def opinion(found: Trial, ramp: Ramp) -> Opinion:
    """Judge the decisions of a ramp; pure."""
    plan = ramp.plan.params
    alpha = (1 - plan.confidence) / 2
    rows = found.rows
    guardrails = _guardrails(found, ramp)
    shares = sorted({float(share) for share in rows["share"].to_numpy()})
    steps = [_step(rows[rows["share"] == share], share, guardrails) for share in shares]
    present = rows[rows["share"] == ramp.share]
    here = _step(present, ramp.share, guardrails)
    common: dict[str, Any] = {
        "minimum_effect": plan.max_reward_drop,
        "minimum_per_arm": max(plan.min_samples, 2),
        "guardrails": guardrails,
        "target_size": _target_size(ramp),
    }
    lately = tuple(
        judge_steps(
            [_step(block, ramp.share, guardrails)],
            alpha=alpha / (number * (number + 1)),
            mismatch_alpha=MISMATCH_ALPHA / (number * (number + 1)),
            **common,
        )
        for number, block in _blocks(present, BLOCK_SAMPLES * plan.min_samples)
    )
    return Opinion(
        judge_steps(steps or [here], alpha=alpha, mismatch_alpha=MISMATCH_ALPHA, **common),
        lately,
        (here.control.reward.n, here.treatment.reward.n),
        len(present),
    )


def _guardrails(found: Trial, ramp: Ramp) -> list[Guardrail]:
    """Error rate always; latency and cost where the plan watches them and the control has any.

    Both are cut at the scale of the reward, so their range is known before the data. Their margins are shares of the
    control's mean, which is estimated; its error is small beside a margin of some ten percent.
    """
    plan = ramp.plan.params
    guardrails = [Guardrail(ERRORS, plan.max_error_rate_increase)]
    control = found.rows[~found.rows["treated"]]
    for name, share, span in (
        (LATENCY, plan.max_latency_increase, found.longest_ms),
        (COST, plan.max_cost_increase, found.dearest_usd),
    ):
        known = trial.values(control, _COLUMNS[name])
        if share is not None and len(known):
            guardrails.append(Guardrail(name, share * float(known.mean()), span=span))
    return guardrails


def _step(rows: pd.DataFrame, share: float, guardrails: list[Guardrail]) -> Step:
    units = trial.by_unit(rows)
    control, treatment = (_arm(units[units["treated"] == treated], guardrails) for treated in (False, True))
    return Step(control, treatment, share)


def _arm(units: pd.DataFrame, guardrails: list[Guardrail]) -> ArmData:
    return ArmData(
        reward=Sample(trial.values(units, "reward")),
        guardrails={each.name: Sample(trial.values(units, _COLUMNS[each.name])) for each in guardrails},
        allocated=len(units),
    )


def _blocks(rows: pd.DataFrame, length: int) -> Iterator[tuple[int, pd.DataFrame]]:
    """The last complete block and the one under way, with their numbers from 1; `length` decisions of the canary each.

    A block begins after the last decision of the block before it; the control's decisions belong to it by their time.
    """
    treated = rows["treated"].to_numpy(bool)
    number = (treated.cumsum() - treated) // length
    last = int(treated.sum()) // length
    for block in range(max(last - 1, 0), last + 1):
        part = rows[number == block] if block < last else rows[number >= block]
        if len(part):
            yield block + 1, part


def _target_size(ramp: Ramp) -> int:
    """Decisions at the first share after which the intervals should be tightest: when each step has its samples."""
    plan = ramp.plan.params
    first = plan.shares[0]
    return max(round(2 * plan.min_samples / (first * (1 - first))), 100)


def _metric(fields: dict[str, Any]) -> dict[str, Any]:
    interval = fields["interval"]
    return {**fields, "state": fields["state"].value, "interval": interval and list(interval)}
