"""Cases of before that are like an insight: the same outcome, a like cause, a like way, a like size."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC

import numpy as np

from cogorch_dagster.causal.insights.insight import Insight, SimilarCase
from cogorch_dagster.causal.insights.store import Kept

MOST = 3
LEAST_SIMILARITY = 0.5


def with_similar(insight: Insight, before: Sequence[Kept]) -> Insight:
    """The insight with the most similar of earlier ones, at most three; of one component the latest."""
    rated = sorted(((similarity(insight, each.insight), each) for each in before), key=lambda pair: -pair[0])
    found: dict[tuple[str, str], SimilarCase] = {}
    for rate, each in rated:
        place = (each.insight.scope, each.insight.cause)
        if rate < LEAST_SIMILARITY or place in found or len(found) == MOST:
            continue
        found[place] = SimilarCase(
            digest=each.insight.digest,
            scope=each.insight.scope,
            at=each.at.astimezone(UTC).isoformat(),
            ratio=each.insight.standardised / insight.standardised,
            similarity=rate,
        )
    return replace(insight, similar=tuple(found.values()))


def similarity(one: Insight, other: Insight) -> float:
    """0 to 1; 0 for other outcomes or opposite signs.

    The mean of three: whether the cause is the same, or of the same sort (`share:`, `param:`); what the paths have in
    common (Jaccard); and how near the standardised sizes are, 1 for equal ones, 1/2 where one is twice the other.
    """
    if one.outcome != other.outcome or one.standardised * other.standardised <= 0:
        return 0.0
    sort = one.cause.rpartition(":")[0]
    alike = 1.0 if one.cause == other.cause else 0.5 if sort and sort == other.cause.rpartition(":")[0] else 0.0
    mine, others = (_steps(each) for each in (one, other))
    shared = len(mine & others) / len(mine | others) if mine | others else 1.0
    near = float(2.0 ** -abs(np.log2(abs(one.standardised) / abs(other.standardised))))
    return (alike + shared + near) / 3


def _steps(insight: Insight) -> set[tuple[str, str]]:
    """The edges of the paths; the cause by its place, for it may have another name."""
    return {("cause" if a == insight.cause else a, b) for path in insight.paths for a, b, _, _ in path.edges}
