"""An insight in plain sentences, each number with its unit and interval."""

from dataclasses import replace

from cogorch_dagster.causal.insights.insight import Insight, Recommendation


def told(insight: Insight) -> Insight:
    """The insight with its sentence."""
    advice = _advice(insight.recommendation, insight.outcome_unit)
    parts = [_effect(insight), _basis(insight), _ways(insight), _doubt(insight), insight.overturned_by, advice]
    return replace(insight, sentence=" ".join(part for part in parts if part))


def number(value: float) -> str:
    """Four significant digits, without an exponent where people would not write one."""
    return f"{value:,.0f}" if 10_000 <= abs(value) < 1e9 else f"{value:.4g}"


def _effect(insight: Insight) -> str:
    low, high = sorted(abs(bound) for bound in insight.interval)
    verb = "raises" if insight.effect > 0 else "lowers"
    if insight.claim != "causal":
        verb = f"seems to {verb.removesuffix('s')}"
    step = f"{number(insight.step)}{_unit(insight.cause_unit)} more of {insight.cause}"
    size = f"{number(abs(insight.effect))}{_unit(insight.outcome_unit)}"
    return f"{step} {verb} {insight.outcome} by {size} (95 %: {number(low)} to {number(high)})."


def _basis(insight: Insight) -> str:
    held = f"adjusted for {', '.join(insight.adjusted_for)}" if insight.adjusted_for else "no adjustment is needed"
    if insight.claim == "causal":
        return f"A causal claim: {held}."
    return f"No causal claim ({held}): {'; '.join(each.rstrip('.') for each in insight.reasons)}."


def _ways(insight: Insight) -> str:
    """The largest paths, each with its part of the effect of the step."""
    if not insight.paths or (len(insight.paths) == 1 and len(insight.paths[0].edges) == 1):
        return ""
    unit = _unit(insight.outcome_unit)
    ways = [f"{path.text} ({path.contribution * insight.step:+.4g}{unit})" for path in insight.paths]
    return f"By way of {'; '.join(ways)}."


def _doubt(insight: Insight) -> str:
    return f"Of the way itself less is sure: {', '.join(insight.doubted)}." if insight.doubted else ""


def _advice(advice: Recommendation | None, outcome_unit: str) -> str:
    if advice is None:
        return ""
    low, high = sorted(abs(bound) for bound in advice.interval)
    by = f", by way of {advice.parameter} of {advice.policy}" if advice.parameter else ""
    verb = "raise" if advice.change > 0 else "lower"
    said = (
        f"Recommended: {advice.variable} from {number(advice.present)} to {number(advice.target)}{_unit(advice.unit)}"
        f"{by}, which should {verb} {advice.outcome} by {number(abs(advice.change))}{_unit(outcome_unit)} "
        f"(95 %: {number(low)} to {number(high)})."
    )
    return f"{said} Careful: {'; '.join(advice.warnings)}." if advice.warnings else said


def _unit(unit: str) -> str:
    return f" {unit}" if unit else ""
