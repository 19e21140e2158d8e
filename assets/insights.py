"""What is worth knowing and what to do about it, component by component, in sentences."""

from typing import TYPE_CHECKING

import dagster as dg
from pydantic import Field

from assets.causal_effects import causal_effects
from assets.presentation import plot, shown, table
from resources.installation import CogorchResource

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from cogorch_dagster.causal.insights.insight import Insight

INSIGHT_COLUMNS = {
    "component": "whose",
    "cause": "what was found to act",
    "outcome": "on what",
    "step": "of the cause, in its unit",
    "effect": "of that step on the outcome",
    "low": "95 % interval",
    "high": "95 % interval",
    "unit": "of the outcome",
    "claim": "causal, weak or associational",
    "recommended": "what to set",
}
SAID, DRAWN = 12, 10


class InsightsConfig(dg.Config):
    """Whose insights."""

    components: list[str] = Field(default=[], description="Empty: every component with a graph.")


@dg.asset(deps=[causal_effects], group_name="causes", kinds={"python", "postgres"}, owners=["team:learning"])
def insights(
    context: dg.AssetExecutionContext, config: InsightsConfig, cogorch: CogorchResource
) -> dg.MaterializeResult[None]:
    """A ranked list for each component: which cause moves which outcome by how much, by which way, and what would help.

    Each insight names its unit, interval, path and adjustment, how strong a hidden cause would have to be to overturn
    it, similar cases of before, and, where somebody sets the cause, the value that was best among those observed.
    """
    from cogorch_dagster.causal.insights.looking import look
    from cogorch_dagster.causal.versions import store
    from cogorch_dagster.platform.database import transaction

    settings = cogorch.settings
    found: list[Insight] = []
    with transaction(settings) as connection:
        scopes = config.components or list(store.components(connection))
    for scope in scopes:
        with transaction(settings) as connection:
            version = store.latest(connection, scope)
        if version is not None:
            found += look(settings, version)
    causal = sum(each.claim == "causal" for each in found)
    outcome = f"{len(found)} insights on {len(scopes)} components, {causal} of them causal claims"
    context.log.info(outcome)
    metadata: dict[str, dg.MetadataValue] = {
        "outcome": dg.MetadataValue.text(outcome),
        "insights": table([_row(each) for each in found], INSIGHT_COLUMNS, limit=200),
        "in_words": dg.MetadataValue.md("\n".join(_said(each) for each in found[:SAID]) or "Nothing stands out."),
    }
    if found:
        metadata["sizes"] = plot(
            lambda axes: _sizes(axes, found[:DRAWN]), title="sd of the outcome for one sd of the cause"
        )
    return dg.MaterializeResult(metadata=metadata)


def _row(insight: "Insight") -> dict[str, object]:
    low, high = insight.interval
    advice = insight.recommendation
    return {
        "component": insight.scope,
        "cause": insight.cause,
        "outcome": insight.outcome,
        "step": shown(insight.step),
        "effect": shown(insight.effect, 3),
        "low": shown(low, 3),
        "high": shown(high, 3),
        "unit": insight.outcome_unit,
        "claim": insight.claim,
        "recommended": f"{advice.variable} to {advice.target:.4g} {advice.unit}" if advice else "",
    }


def _said(insight: "Insight") -> str:
    return f"- **{insight.scope}** {insight.sentence}"


def _sizes(axes: "Axes", found: "list[Insight]") -> None:
    """Standardised effects with their intervals, the first on top."""
    shown_first = list(reversed(found))
    for place, each in enumerate(shown_first):
        scale = each.standardised / each.effect if each.effect else 0.0
        low, high = sorted(bound * scale for bound in each.interval)
        axes.plot([low, high], [place, place], color="#1f2937" if each.claim == "causal" else "#9ca3af", lw=2)
        axes.plot([each.standardised], [place], "o", color="#2563eb" if each.claim == "causal" else "#9ca3af", ms=4)
    axes.axvline(0, color="#9ca3af", lw=0.8)
    axes.set_yticks(range(len(shown_first)), [f"{each.cause} on {each.outcome}" for each in shown_first])
