"""What has changed by itself: incidents and regime changes of the components, and the check that none is open."""

from typing import TYPE_CHECKING

import dagster as dg

from assets.presentation import moment, shown, table
from assets.rolling_stats import rolling_stats
from resources.installation import CogorchResource

if TYPE_CHECKING:
    from cogorch_dagster.policies.findings import Finding

COLUMNS = {
    "what": "incident (short, blocks activations while open) or regime (stays, asks for tuning)",
    "component": "whose",
    "metric": "reward, latency, failures, the share of an action, or the residual: reward beyond what the mix explains",
    "kind": "of a regime: level, spread or trend",
    "began": "UTC, estimated",
    "ended": "UTC; empty while it lasts",
    "before": "mean beforehand; latency in ms",
    "after": "mean since",
    "size": "in robust s.d. of that hour",
    "because_of": "the slices that explain most of it",
    "mix": "of a change of the reward: the mix, or what the same requests earn",
    "coincides_with": "a version that came into force at the time",
}
SHOWN = 30


@dg.asset(
    deps=[rolling_stats],
    group_name="score",
    kinds={"duckdb", "postgres"},
    owners=["team:learning"],
)
def drift(context: dg.AssetExecutionContext, cogorch: CogorchResource) -> dg.MaterializeResult[None]:
    """Incidents and regime changes of every component's reward, latency, failures and mix, with what explains them.

    Regime changes are looked for in hours, incidents in buckets of ten minutes, both against the same time of other
    days. Where a reward model is in use, what decisions earn beyond what their mix makes one expect is watched too, and
    a change of the reward is split into the two. An open incident holds back activations of the component's policies;
    it is closed here when it has ended.
    """
    from cogorch_dagster.evaluation.drift import watch
    from cogorch_dagster.features.expectation import by_mix
    from cogorch_dagster.platform.database import transaction
    from cogorch_dagster.policies import findings

    result = watch.look(cogorch.settings, expectation=by_mix(cogorch.settings, context.log.warning))
    for each in (*result.opened, *result.changed):
        context.log.warning(f"{each.sort} of {each.component}: {each.metric}, {each.kind}; {each.because}")
    with transaction(cogorch.settings) as connection:
        known = findings.findings(connection, limit=SHOWN)
    return dg.MaterializeResult(
        metadata={
            "outcome": dg.MetadataValue.text(
                f"{len(result.opened)} incidents opened, {len(result.closed)} closed, "
                f"{len(result.changed)} regime changes"
            ),
            "as_of": moment(result.as_of),
            "components": result.components,
            "too_young": dg.MetadataValue.text(", ".join(result.too_young) or "none"),
            "findings": table([_row(each) for each in known], COLUMNS, limit=SHOWN),
        }
    )


@dg.asset_check(asset=drift)
def no_open_incident(cogorch: CogorchResource) -> dg.AssetCheckResult:
    """No incident is open. While one is, approvals of the component's policies wait; rolling back is possible."""
    from cogorch_dagster.platform.database import transaction
    from cogorch_dagster.policies import findings

    with transaction(cogorch.settings) as connection:
        opened = findings.findings(connection, sort="incident", open_only=True)
    named = "; ".join(f"{each.metric} of {each.component} since {moment(each.began_at)}" for each in opened)
    return dg.AssetCheckResult(
        passed=not opened,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"Open: {named}." if opened else "No incident is open.",
        metadata={
            "incidents": table([_row(each) for each in opened], COLUMNS),
            "next": dg.MetadataValue.md(
                "\n".join(f"    cogorch incidents close {each.finding_id} --reason '...'" for each in opened)
                or "Nothing to do."
            ),
        },
    )


def _row(finding: "Finding") -> dict[str, object]:
    return {
        "what": finding.sort,
        "component": finding.component,
        "metric": finding.metric,
        "kind": finding.kind,
        "began": moment(finding.began_at),
        "ended": moment(finding.ended_at) if finding.sort == "incident" else "",
        "before": shown(finding.before),
        "after": shown(finding.after),
        "size": shown(finding.size, 3),
        "because_of": finding.because,
        "mix": (finding.details.get("mix") or {}).get("verdict", ""),
        "coincides_with": str(finding.details.get("coincides_with") or ""),
    }
