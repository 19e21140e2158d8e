"""The evidence of a recommendation: what was simulated, what the logs say of it, and whether the two agree.

`method` is `off_policy` where the logs alone would have carried the whole document by the rules for proposals; then
`estimate` and `ci95` are theirs, and rules may approve by them. Otherwise it is `simulated`, those two are missing, and
a person decides in every mode (`policies.autonomy.apply_mode`): a simulator that is wrong is wrong with certainty.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from cogorch_dagster.agents.comparison.comparison import Comparison
from cogorch_dagster.agents.recommendation.draft_document import DraftDocument
from cogorch_dagster.agents.recommendation.limits import Limits
from cogorch_dagster.agents.recommendation.off_policy import FromLogs
from cogorch_dagster.fleet.calibration.calibration import Calibration
from cogorch_dagster.policies.autonomy import SIMULATED

HEADLINE = ("estimate", "ci95", "expected_ci95", "estimator")


@dataclass(frozen=True)
class Source:
    """Where a recommendation comes from.

    Attributes:
        controller: its name.
        checkpoints: by agent the digest of what it acts from; empty for a controller without any.
        search_seed: of the fleets that the controller steered.
        seeds: fresh ones that the documents were compared on.
        run_id: of the run that asked for it.
    """

    controller: str
    checkpoints: Mapping[str, str]
    calibration: Calibration
    search_seed: int
    seeds: tuple[int, ...]
    limits: Limits
    run_id: str | None


def evidence_of(
    source: Source, draft: DraftDocument, compared: Mapping[str, Comparison], logs: FromLogs, *, inputs: str
) -> dict[str, Any]:
    """The evidence as a JSON document."""
    found = {} if logs.measured is None else dict(logs.measured.document)
    if not logs.carries:
        found = {name: value for name, value in found.items() if name not in HEADLINE}
    return {
        **found,
        "method": "off_policy" if logs.carries else SIMULATED,
        "simulated": _simulated(source, compared),
        "off_policy": logs.document(),
        "agreement": agreement(compared["reward"], logs),
        "recommendation": {
            "controller": source.controller,
            "checkpoints": dict(source.checkpoints),
            "run_id": source.run_id,
            "changed": list(draft.changed),
            "arrived_at": draft.aims,
            "kept": draft.kept,
        },
        "limits": asdict(source.limits),
        "seed": source.search_seed,
        "inputs": inputs,
        "created_at": datetime.now(UTC).isoformat(),
    }


def agreement(reward: Comparison, logs: FromLogs) -> dict[str, Any]:
    """Whether simulation and logs see the same sign; null where one of them does not tell."""
    simulated = f"{reward.difference.value:+.4f}"
    if logs.measured is None:
        return {"same_sign": None, "said": f"simulated {simulated}; the logs do not say ({logs.reason})"}
    measured = logs.measured.dr
    both = f"simulated {simulated}, by the logs {measured.value:+.4f} (each in its own reward)"
    if measured.expected_ci95[0] <= 0 <= measured.expected_ci95[1]:
        return {"same_sign": None, "said": f"{both}: the logs do not tell the sign"}
    same = measured.value * reward.difference.value > 0
    said = "the signs agree" if same else "THE SIGNS DISAGREE: the logs see the opposite of what was simulated"
    return {"same_sign": same, "said": f"{both}: {said}"}


def _simulated(source: Source, compared: Mapping[str, Comparison]) -> dict[str, Any]:
    limits, parameters = source.limits, source.calibration.parameters
    return {
        "metrics": {name: _metric(each) for name, each in compared.items()},
        "statistic": compared["reward"].statistic,
        "seeds": [str(seed) for seed in source.seeds],
        "fleets_per_seed": limits.fleets_per_seed,
        "steps": min(limits.steps, parameters.horizon),
        "step_seconds": parameters.step_seconds,
        "search": {"seed": source.search_seed, "fleets": limits.fleets, "warm_up": limits.warm_up},
        "calibration": _calibration(source.calibration),
    }


def _metric(each: Comparison) -> dict[str, Any]:
    relative = each.relative
    return {
        "unit": each.metric.unit,
        "better": each.metric.direction,
        "active": each.baseline.value,
        "recommended": each.treated.value,
        "difference": each.difference.value,
        "ci95": [each.difference.low, each.difference.high],
        "relative": None if relative is None else relative.value,
        "answer": each.answer.value,
    }


def _calibration(calibration: Calibration) -> dict[str, Any]:
    return {
        "digest": calibration.digest,
        "parameters": calibration.parameters.digest,
        "since": calibration.since.astimezone(UTC).isoformat(),
        "until": calibration.until.astimezone(UTC).isoformat(),
        "rows": calibration.rows,
        "verdicts": dict(Counter(fit.verdict for fit in calibration.fits)),
        "fits": [
            {
                "name": fit.name,
                "ks": fit.calibrated.ks,
                "held_out_ks": fit.held_out and fit.held_out.ks,
                "verdict": fit.verdict,
            }
            for fit in calibration.fits
        ],
        "warnings": list(calibration.warnings),
    }


def refused_evidence(source: Source, draft: DraftDocument, compared: Mapping[str, Comparison]) -> dict[str, Any]:
    """What a refusal shows: the parameters that were tried, and how they did."""
    return {
        "params": draft.params,
        "changed": list(draft.changed),
        "kept": draft.kept,
        "simulated": _simulated(source, compared),
    }
