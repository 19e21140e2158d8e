"""Reports as plain values: for the evidence that goes with a version, and for programs that read the command's JSON."""

import math
from typing import Any

from cogorch_dagster.evaluation.report import Difference, Evaluation, Report
from cogorch_dagster.evaluation.support import Refusal


def report_document(report: Report) -> dict[str, Any]:
    """Everything that a report says."""
    return {
        "baseline": report.baseline,
        **evaluation_document(report.overall),
        "overlap": [vars(each) for each in report.overall.support.overlap],
        "slices": slices_document(report),
        "worse": [{"slicing": each.slicing, "label": each.label} for each in report.worse()],
    }


def slices_document(report: Report) -> list[dict[str, Any]]:
    """One value for each slice."""
    return [
        {"slicing": each.slicing, "label": each.label, **evaluation_document(each.evaluation)} for each in report.slices
    ]


def evaluation_document(found: Evaluation) -> dict[str, Any]:
    """Support, estimates, difference and refusal; the overlap by arm is left out."""
    held = found.support
    return {
        "decisions": held.decisions,
        "effective_sample_size": held.effective_sample_size,
        "largest_weight": held.largest_weight,
        "mean_weight": _finite(held.mean_weight),
        "estimators": estimators_document(found),
        "difference": found.difference and _difference(found.difference),
        "refusal": found.refusal and _refusal(found.refusal),
    }


def estimators_document(found: Evaluation) -> dict[str, dict[str, Any]]:
    """Value, standard error and interval by estimator; `parameter` is null for none and for no shrinkage."""
    return {
        name: {
            "value": each.value,
            "se": each.se,
            "ci95": list(each.ci95),
            "parameter": None if each.parameter is None else _finite(each.parameter),
        }
        for name, each in found.estimates.items()
    }


def _difference(found: Difference) -> dict[str, Any]:
    return {**vars(found), "interval": list(found.interval)}


def _refusal(found: Refusal) -> dict[str, str]:
    return {"reason": found.reason.value, "message": found.message}


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
