"""A feature set made by hand: what the tests of its use need, without synthesising and selecting among hundreds."""

from datetime import datetime, timedelta

from cogorch_dagster.features import synthesis
from cogorch_dagster.features.feature_set import FeatureSet
from cogorch_dagster.features.history import read_history
from cogorch_dagster.platform.code_version import code_version
from cogorch_dagster.settings import Settings
from tests.evaluation.traffic import POLICY

SELECTED = ("context.length", "components.COUNT(attempts) [60s]")


def handmade(settings: Settings, since: datetime, until: datetime, selected: tuple[str, ...] = SELECTED) -> FeatureSet:
    """The length of the request, which explains the reward of `test_building.traffic`, and a count, which does not."""
    history = read_history(settings, POLICY, since, until, lookback=timedelta(minutes=1))
    bases = {name.partition(" [")[0] for name in selected}
    chosen = [each for each in synthesis.synthesise(history) if each.get_name() in bases]
    return FeatureSet(
        scope=POLICY,
        selected=selected,
        definitions=synthesis.to_json(chosen) if chosen else {},
        windows_s=(60,),
        context=history.context,
        considered=2,
        importances=(),
        explained=0.0,
        explained_without=0.0,
        rows=len(history.decisions),
        since=since,
        until=until,
        seed=0,
        inputs="",
        code_version=code_version(),
    )
