"""The insights of a version: made from its effects, with similar cases of before, and kept."""

from cogorch_dagster.causal.insights import effect_store
from cogorch_dagster.causal.insights import store as insight_store
from cogorch_dagster.causal.insights.finding import insights_of
from cogorch_dagster.causal.insights.insight import Insight
from cogorch_dagster.causal.insights.questions import questions
from cogorch_dagster.causal.insights.settable import settable
from cogorch_dagster.causal.insights.similar import with_similar
from cogorch_dagster.causal.versions import store
from cogorch_dagster.causal.versions.version import CausalVersion
from cogorch_dagster.platform.database import lock, transaction
from cogorch_dagster.settings import Settings


def look(settings: Settings, version: CausalVersion) -> list[Insight]:
    """The insights of a version, the most worth knowing first; those that are kept already stay as they are.

    They are kept once all its effects are estimated; until then what is known of them is told and not kept.
    """
    with transaction(settings) as connection:
        # Two that look at once would each keep their own: an insight also holds the cases that came before it.
        lock(connection, "causal insights", version.digest)
        store.require(connection, version.digest)
        kept = insight_store.of_version(connection, version.digest)
        if kept:
            return [each.insight for each in kept]
        effects = effect_store.of_version(connection, version.digest)
        found = insights_of(version, effects, settable(connection, version))
        outcomes = sorted({each.outcome for each in found})
        before = {outcome: insight_store.earlier(connection, outcome, version.digest) for outcome in outcomes}
        told = [with_similar(each, before[each.outcome]) for each in found]
        if set(questions(version)) <= effect_store.known(connection, version.digest):
            insight_store.save(connection, told)
    return told
