"""From the lake to a feature set and back: selection, versions, the same values later, and what it is worth."""

import json
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.features import building, store
from cogorch_dagster.features.feature_set import FeatureSet
from cogorch_dagster.features.gain import measure_gain
from cogorch_dagster.features.history import read_history
from cogorch_dagster.platform.database import transaction
from cogorch_dagster.settings import Settings
from tests.evaluation.traffic import POLICY, START, WEIGHTS, Traffic, generate, install

HALF = timedelta(seconds=350)
NOW = timedelta(0)
CANDIDATE = {"modelWeights": {"small": 0.6, "medium": 0.3, "large": 0.1}}


def traffic(n: int, seed: int, **options: object) -> Traffic:
    """Requests of a known length, of which every arm answers the short ones alone rightly. And a kind, without say."""
    found = generate(WEIGHTS, n, seed=seed, **options)
    rng = np.random.default_rng(seed)
    short = set()
    for each in found.decisions:
        length = float(rng.lognormal(0, 0.8))
        for row in each["rows"]:
            row["context"] = json.dumps({"length": length, "kind": str(rng.choice(["chat", "code"])), 'a"b': 1})
        if length < 1:
            short.add(each["rows"][-1]["observation_id"])
    found.feedback = [each.model_copy(update={"value": float(each.observation_id in short)}) for each in found.feedback]
    return found


def test_the_whole_way(settings: Settings) -> None:
    install(settings)
    traffic(1400, 1).store(settings)
    built = building.build(settings, POLICY, START, START + HALF, windows_s=(60,), feedback_delay=NOW)
    assert "context.length" in built.selected and len(built.selected) <= 3
    assert built.considered > 100 and built.explained > built.explained_without + 0.05
    assert {each.name for each in built.context} == {"context.length", "context.kind=chat", "context.kind=code"}
    with transaction(settings) as connection:
        assert store.latest(connection, POLICY) is None
        assert store.save(connection, built, "run-1") and not store.save(connection, built)
        again = store.get(connection, built.digest[:20])
        other = replace(built, seed=1)
        assert store.save(connection, other)
        assert store.latest(connection, POLICY).digest == other.digest
        assert [each.digest for each in store.listing(connection, POLICY)] == [other.digest, built.digest]
        assert store.listing(connection, "nobody") == []
    assert again.digest == built.digest and again.features == built.features
    assert building.leaks_of(settings, again) == ()

    before = building.compute(settings, again, START + HALF, START + 1.5 * HALF)
    traffic(200, 2, start=START + 2 * HALF).store(settings)
    after = building.compute(settings, again, START, START + 3 * HALF)
    assert before.names == after.names == built.selected and len(after.decision_id) == 1600
    assert after.of(before.decision_id) == pytest.approx(before.values, rel=1e-9, nan_ok=True)

    gain = measure_gain(settings, again, CANDIDATE, START + HALF, START + 2 * HALF, feedback_delay=NOW)
    assert gain.with_features.decisions == 700
    assert gain.ratio_ci95[0] < gain.ratio < gain.ratio_ci95[1] < 0.9
    assert abs(gain.with_features.value - gain.without.value) < 3 * gain.without.se


def test_what_cannot_be_built_is_refused(settings: Settings) -> None:
    install(settings)
    with pytest.raises(InvalidInput, match=r"router-core made no decisions from .*; import or send observations"):
        building.build(settings, POLICY, START, START + HALF)
    traffic(100, 3).store(settings)
    with pytest.raises(InvalidInput, match="at least 240"):
        building.build(settings, POLICY, START, START + HALF, windows_s=(60,), feedback_delay=NOW)
    for windows in ((), (0,), (10**7,)):
        with pytest.raises(InvalidInput, match="windows of"):
            building.build(settings, POLICY, START, START + HALF, windows_s=windows)
    with pytest.raises(InvalidInput, match="the period is empty"):
        read_history(settings, POLICY, START, START, lookback=NOW)
    with transaction(settings) as connection, pytest.raises(InvalidInput, match="no feature set has"):
        store.get(connection, "0" * 12)
    with pytest.raises(InvalidInput, match="format 'other'"):
        FeatureSet.of({"format": "other"})


def test_what_is_known_when(settings: Settings) -> None:
    """Attempts when they ended, judgements when they were given, each usable one microsecond later."""
    install(settings)
    made = traffic(50, 4)
    made.store(settings)
    history = read_history(settings, POLICY, START, START + HALF, lookback=HALF)
    ended = sorted(
        round(row["occurred_at"].timestamp() * 1e6) + int(np.ceil(row["duration_ms"] * 1000))
        for row in made.observations
    )
    assert history.events["attempts"]["known_us"].tolist() == ended
    assert history.events["judgements"]["known_us"].tolist() == sorted(
        round(each.occurred_at.timestamp() * 1e6) for each in made.feedback
    )
    for frame in history.events.values():
        assert (frame["available_us"] == frame["known_us"] + 1).all()
    moment = int(history.decisions["started_us"].iloc[30])
    past = history.until(moment)
    assert len(past.decisions) == 31 and (past.events["attempts"]["known_us"] < moment).all()
    assert history.versions["version"].tolist() == ["1.0.0"] and history.arms[0] == "large"
