"""By how much: the effect of what can be set, or is given, on every outcome, with all that one needs to judge it."""

from collections.abc import Mapping
from typing import Any

import dagster as dg
from pydantic import Field

from assets.causal_graph import causal_graph
from assets.presentation import shown, table
from resources.installation import CogorchResource

EFFECT_COLUMNS = {
    "component": "whose",
    "cause": "what is changed by one unit",
    "outcome": "what is asked about",
    "effect": "of one unit, or why there is none",
    "low": "95 % interval",
    "high": "95 % interval",
    "unit": "of the effect",
    "claim": "causal, weak or associational",
    "adjusted_for": "adjustment set",
    "overlap": "good, poor or none",
    "robustness": "share of what is left that a hidden cause must explain to reach 0",
    "reasons": "why no more is claimed",
}


class EffectsConfig(dg.Config):
    """Whose effects."""

    components: list[str] = Field(default=[], description="Empty: every component with a graph.")


@dg.asset(deps=[causal_graph], group_name="causes", kinds={"python", "postgres"}, owners=["team:learning"])
def causal_effects(
    context: dg.AssetExecutionContext, config: EffectsConfig, cogorch: CogorchResource
) -> dg.MaterializeResult[None]:
    """Effects on reward, latency, errors, cost and fairness by the latest graph of every component.

    Each is identified on the graph, estimated with a 95 % interval, attacked by three refuters and bounded against
    hidden causes; it is called causal only where all of that is in order. What is not identified says why.
    """
    from cogorch_dagster.causal.insights.estimating import estimate_effects
    from cogorch_dagster.causal.versions import store
    from cogorch_dagster.platform.database import transaction

    settings = cogorch.settings
    rows: list[dict[str, object]] = []
    added = 0
    with transaction(settings) as connection:
        scopes = config.components or list(store.components(connection))
    for scope in scopes:
        with transaction(settings) as connection:
            version = store.latest(connection, scope)
        if version is None:
            context.log.warning(f"{scope} has no graph")
            continue
        found = estimate_effects(settings, version)
        added += found.added
        context.log.info(f"{scope}: {found.added} effects estimated, {len(found.documents)} in all")
        rows += [_row(scope, each) for each in found.documents]
    claimed = sum(row.get("claim") == "causal" for row in rows)
    return dg.MaterializeResult(
        metadata={
            "outcome": dg.MetadataValue.text(f"{len(rows)} effects, {added} of them new; {claimed} causal claims"),
            "effects": table(sorted(rows, key=lambda row: row.get("claim") != "causal"), EFFECT_COLUMNS, limit=200),
        }
    )


def _row(scope: str, document: Mapping[str, Any]) -> dict[str, object]:
    row: dict[str, object] = {
        "component": scope,
        "cause": document["treatment"],
        "outcome": document["outcome"],
    }
    if document["answer"] == "range":
        low, high = document["interval"]
        unclear = f"not told by the data: {', '.join(document['edges'])}"
        return {**row, "effect": "a range", "low": _cell(low), "high": _cell(high), "reasons": unclear}
    if document["answer"] != "effect":
        return {**row, "effect": "not identified", "reasons": document["detail"]}
    low, high = document["estimate"]["interval"]
    return {
        **row,
        "effect": str(_cell(document["estimate"]["value"])),
        "low": _cell(low),
        "high": _cell(high),
        "unit": document["unit"],
        "claim": document["claim"],
        "adjusted_for": ", ".join(document["estimand"]["adjustment"]) or "nothing",
        "overlap": document["overlap"]["verdict"] if document["overlap"] else "",
        "robustness": _cell(document["sensitivity"]["robustness_of_bound"]) if document["sensitivity"] else None,
        "reasons": "; ".join(document["reasons"]),
    }


def _cell(value: float | None) -> float | None:
    return None if value is None else shown(value, 3)
