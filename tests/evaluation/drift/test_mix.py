"""A change of the reward is split: by the mix of requests, and what the same requests earn."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from cogorch_dagster.evaluation.drift import mix, watch
from cogorch_dagster.evaluation.drift.expected import Expected
from cogorch_dagster.features.expectation import of_mix
from cogorch_dagster.features.reward_fitting import fit
from cogorch_dagster.settings import Settings
from tests.evaluation.drift.fleet import Columns, serve
from tests.evaluation.traffic import POLICY, REWARD, ROUTER, install

START = datetime(2026, 3, 2, tzinfo=UTC)
DAYS = 6
END = START + timedelta(days=DAYS)
LATE = DAYS * 24 - 30
BY_LATENCY = {**REWARD, "successWeight": 0.65, "qualityWeight": 0, "latencyWeight": 0.6, "maxLatencyMs": 2000}


def longer(columns: Columns) -> None:
    late = columns["at"] >= LATE
    columns["length"][late] = np.sqrt(np.sqrt(columns["length"][late]))


def slower(columns: Columns) -> None:
    columns["duration_ms"][(columns["at"] >= LATE) & (columns["action"] == "large")] *= 2


@pytest.mark.parametrize(("trouble", "same"), [(longer, True), (slower, False)])
def test_the_watch_tells_the_mix_from_what_the_same_requests_earn(
    settings: Settings, trouble: object, same: bool
) -> None:
    install(settings, ROUTER, BY_LATENCY)
    serve(settings, START, END, trouble, POLICY)
    rewards = fit(settings, POLICY, START, START + timedelta(days=4)).rewards
    looked = watch.look(
        settings, END, expectation=lambda component, since, until: of_mix(settings, "model@1", rewards, since, until)
    )
    changed = {each.metric: each for each in looked.changed}
    assert "reward" in changed and ("residual" in changed) != same
    parts = changed["reward"].details["mix"]
    assert parts["model"] == "model@1" and parts["change"]["high"] < 0
    assert parts["change"]["value"] == pytest.approx(parts["by_mix"]["value"] + parts["same_requests"]["value"])
    if same:
        assert parts["verdict"] == "the mix changed; the same requests earn as before"
    else:
        assert parts["verdict"] == "the same requests earn less"
        residual = changed["residual"]
        assert residual.because.startswith("action large") and residual.details["mix"] == parts | {
            name: residual.details["mix"][name] for name in ("change", "by_mix", "same_requests")
        }
        assert residual.before == pytest.approx(0, abs=0.01) and residual.after < -0.03


def decisions(seed: int, *, mix_moves: bool, drift: float) -> tuple[Expected, float]:
    """Ten days, 40 an hour; on the last one tenant x asks more, or everybody earns less. And the change by the mix."""
    rng = np.random.default_rng(seed)
    at = np.sort(rng.integers(0, 240 * 3_600_000_000, 9600)) + round(START.timestamp() * 1e6)
    late = at >= round((START + timedelta(days=9)).timestamp() * 1e6)
    is_x = rng.random(len(at)) < np.where(late & mix_moves, 0.8, 0.4)
    expected = np.where(is_x, 0.4, 0.6)
    # Neighbours are alike: every hour has a level of its own.
    level = 0.02 * rng.standard_normal(240)[(at - at[0]) // 3_600_000_000]
    reward = expected + level + 0.1 * rng.standard_normal(len(at)) - drift * late
    names = np.where(is_x, "x", "y").astype(object)
    return Expected("m@1", at, reward, expected, np.ones(len(at)), names, names), -0.08 if mix_moves else 0.0


def test_the_parts_are_what_was_planted_and_their_intervals_cover() -> None:
    began, until = START + timedelta(days=9), START + timedelta(days=10)
    for mix_moves, drift, said in (
        (True, 0.0, "the mix changed; the same requests earn as before"),
        (False, 0.1, "the same requests earn less"),
        (True, 0.1, "the mix changed, and the same requests earn less"),
    ):
        hits = np.zeros(2)
        for seed in range(60):
            found, by_mix = decisions(seed, mix_moves=mix_moves, drift=drift)
            parts = mix.split(found, began, until)
            hits[0] += parts.by_mix.low <= by_mix <= parts.by_mix.high
            hits[1] += parts.same_requests.low <= -drift <= parts.same_requests.high
        assert (hits >= 51).all(), (mix_moves, drift, hits)
        assert mix.split(decisions(3, mix_moves=mix_moves, drift=drift)[0], began, until).verdict == said
    quiet = mix.split(decisions(4, mix_moves=False, drift=0.0)[0], began, until)
    assert quiet.verdict == "neither the mix nor what the same requests earn is shown to differ"
    # Of a shorter stretch the same hours of the days before are compared; of next to nothing, nothing.
    short, _ = decisions(5, mix_moves=False, drift=0.1)
    night = mix.split(short, began, began + timedelta(hours=6))
    assert night.same_requests.high < 0 and night.same_requests.high - night.same_requests.low < 0.1
    assert mix.split(short, began, began + timedelta(hours=1)) is None
    compared = mix.compare(short, began, until)
    assert compared.after - compared.before == pytest.approx(-0.1, abs=0.01)
    assert mix.compare(short, began, until, spread=True).explanations[0].change == pytest.approx(0.01, abs=0.003)
