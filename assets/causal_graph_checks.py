"""What is looked at in each graph of causes: that it can be one, that it is stable, that its input is as it was."""

from typing import TYPE_CHECKING

import dagster as dg

from assets.causal_graph import CHANGE_COLUMNS, causal_graph, change_row
from assets.presentation import shown, table
from resources.installation import CogorchResource

if TYPE_CHECKING:
    from cogorch_dagster.causal.versions.version import CausalVersion

SHIFT_COLUMNS = {
    "component": "whose",
    "variable": "of the data set",
    "unit": "of the means",
    "before": "mean in the version before",
    "after": "mean in this one",
    "distance": "Kolmogorov-Smirnov, 0 to 1",
    "p": "of no shift, corrected for the number of variables",
}


@dg.asset_check(asset=causal_graph)
def graph_acyclic(cogorch: CogorchResource) -> dg.AssetCheckResult:
    """The latest graph of every component has no directed cycle and keeps to what was known beforehand."""
    from cogorch_dagster.causal.versions.soundness import problems

    latest = _latest(cogorch)
    wrong = [f"{each.scope}: {problem}" for each in latest for problem in problems(each)]
    return dg.AssetCheckResult(
        passed=not wrong,
        severity=dg.AssetCheckSeverity.ERROR,
        description="; ".join(wrong) or f"{len(latest)} graphs without cycles, each within what was known.",
        metadata={"graphs": len(latest)},
    )


@dg.asset_check(asset=causal_graph)
def graph_stable(cogorch: CogorchResource) -> dg.AssetCheckResult:
    """No edge changed against the version before by more than the bootstrap of either leaves open.

    A warning: a fleet may really work otherwise than before, but somebody should look before trusting old insights.
    """
    from cogorch_dagster.causal.versions import store
    from cogorch_dagster.causal.versions.comparison import compared
    from cogorch_dagster.platform.database import transaction

    rows: list[dict[str, object]] = []
    unstable = []
    for each in _latest(cogorch):
        with transaction(cogorch.settings) as connection:
            earlier = store.before(connection, each.digest)
        if earlier is None:
            continue
        comparison = compared(earlier, each)
        if not comparison.alike:
            # Found otherwise, it may differ for that alone.
            continue
        unstable += [] if comparison.stable else [f"{each.scope}: {comparison.verdict}"]
        rows += [change_row(each.scope, change) for change in comparison.changes]
    return dg.AssetCheckResult(
        passed=not unstable,
        severity=dg.AssetCheckSeverity.WARN,
        description="; ".join(unstable) or "No graph differs for sure from the one before.",
        metadata={"changes": table(rows, CHANGE_COLUMNS, limit=100)},
    )


@dg.asset_check(asset=causal_graph)
def input_shift(cogorch: CogorchResource) -> dg.AssetCheckResult:
    """The data of each graph are distributed as those of the version before.

    A warning: what was found in other traffic may not hold in this; `cogorch causal why` says what a shift comes from.
    """
    from cogorch_dagster.causal.versions import datasets, store
    from cogorch_dagster.causal.versions.shift import shifts
    from cogorch_dagster.errors import Refused
    from cogorch_dagster.platform.database import transaction

    settings = cogorch.settings
    rows: list[dict[str, object]] = []
    unread: list[str] = []
    for each in _latest(cogorch):
        with transaction(settings) as connection:
            earlier = store.before(connection, each.digest)
        if earlier is None or earlier.dataset == each.dataset:
            continue
        try:
            found = shifts(datasets.load(settings, earlier.dataset), datasets.load(settings, each.dataset))
        except Refused as refusal:
            unread.append(f"{each.scope}: {refusal}")
            continue
        rows += [
            {
                "component": each.scope,
                "variable": shift.variable,
                "unit": shift.unit,
                "before": shown(shift.before),
                "after": shown(shift.after),
                "distance": shown(shift.distance, 3),
                "p": shown(shift.p, 2),
            }
            for shift in found
            if shift.shifted
        ]
    named = ", ".join(f"{row['variable']} of {row['component']}" for row in rows[:5])
    said = [f"Distributed otherwise than before: {named}."] if rows else []
    return dg.AssetCheckResult(
        passed=not rows and not unread,
        severity=dg.AssetCheckSeverity.WARN,
        description=" ".join([*said, *unread]) or "No variable has shifted.",
        metadata={"shifts": table(rows, SHIFT_COLUMNS, limit=100)},
    )


graph_checks = [graph_acyclic, graph_stable, input_shift]


def _latest(cogorch: CogorchResource) -> "list[CausalVersion]":
    """The latest version of each component."""
    from cogorch_dagster.causal.versions import store
    from cogorch_dagster.platform.database import transaction

    with transaction(cogorch.settings) as connection:
        found = [store.latest(connection, scope) for scope in store.components(connection)]
    return [each for each in found if each is not None]
