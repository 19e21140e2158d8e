"""From the lake to a feature set, and from a feature set to the values of decisions, at build and at serving time."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import numpy as np

from cogorch_dagster.errors import InvalidInput, Refused
from cogorch_dagster.evaluation.decision_rows import read_rows
from cogorch_dagster.features import selection, synthesis
from cogorch_dagster.features.calculation import Matrix, calculate
from cogorch_dagster.features.feature_set import FeatureSet
from cogorch_dagster.features.history import read_history
from cogorch_dagster.features.leakage import SAMPLE, Leak, leaks
from cogorch_dagster.platform.code_version import code_version
from cogorch_dagster.settings import Settings


def build(
    settings: Settings,
    policy_id: str,
    since: datetime,
    until: datetime,
    *,
    windows_s: Sequence[int] = synthesis.WINDOWS_S,
    seed: int = 0,
    feedback_delay: timedelta | None = None,
) -> FeatureSet:
    """Synthesise features of the decisions in [since, until), check that none leaks, and select.

    The selection has seen these rewards: evaluate with it decisions that came later, or take its intervals as slightly
    optimistic.

    Args:
        windows_s: of the past that features look at, in seconds.
        seed: of the selection and of the leak check's sample.
        feedback_delay: as in `evaluation.decisions.read_decisions`.

    Raises:
        InvalidInput: an empty period, no windows, or too few decisions.
        Refused: `feature_leak`, features looked into the future; the message names them.
    """
    windows = _checked(windows_s)
    rows = read_rows(settings, policy_id, since, until, seed=seed, feedback_delay=feedback_delay)
    history = read_history(settings, policy_id, since, until, lookback=timedelta(seconds=max(windows)))
    if history.decisions.empty:
        raise InvalidInput(
            f"{policy_id} made no decisions from {since.isoformat()} to {until.isoformat()}; "
            "import or send observations first, or begin earlier"
        )
    features = synthesis.synthesise(history)
    definitions = synthesis.every(features, windows)
    if found := leaks(history, lambda past: calculate(past, definitions), seed=seed):
        raise Refused("feature_leak", "; ".join(map(str, found)))
    values = calculate(history, definitions).of(rows.decision_id)
    names = [each.name for each in definitions]
    arm = np.searchsorted(np.array(rows.logged, dtype=object), rows.first_arm)
    chosen = selection.select(values, names, arm, rows.reward, seed=seed)
    bases = {each.base for each in definitions if each.name in chosen.kept}
    return FeatureSet(
        scope=policy_id,
        selected=chosen.kept,
        definitions=synthesis.to_json([each for each in features if each.get_name() in bases]) if bases else {},
        windows_s=windows,
        context=history.context,
        considered=len(definitions),
        importances=chosen.importances,
        explained=chosen.explained,
        explained_without=chosen.explained_without,
        rows=len(rows),
        since=since,
        until=until,
        seed=seed,
        inputs=rows.inputs,
        code_version=code_version(),
    )


def compute(settings: Settings, features: FeatureSet, since: datetime, until: datetime) -> Matrix:
    """The selected features of every decision of the scope that began in [since, until), usable or not.

    A decision's values depend on nothing that came after its start, so that they are the same whenever they are
    computed once the lake holds what came before it.
    """
    history = read_history(
        settings,
        features.scope,
        since,
        until,
        lookback=timedelta(seconds=max(features.windows_s)),
        context=features.context,
    )
    return calculate(history, features.features)


def leaks_of(settings: Settings, features: FeatureSet, *, sample: int = SAMPLE, seed: int = 0) -> tuple[Leak, ...]:
    """Every selected feature that leaks, by the decisions that the set was selected on, as the lake holds them now."""
    lookback = timedelta(seconds=max(features.windows_s))
    history = read_history(
        settings, features.scope, features.since, features.until, lookback=lookback, context=features.context
    )
    return leaks(history, lambda past: calculate(past, features.features), sample=sample, seed=seed)


def _checked(windows_s: Sequence[int]) -> tuple[int, ...]:
    longest = 7 * 86_400
    if not windows_s or any(not 1 <= each <= longest for each in windows_s):
        raise InvalidInput(f"windows of {list(windows_s)} s; give at least one, each of 1 to {longest} s")
    return tuple(sorted(set(windows_s)))
