"""Baseline, scores and detectors on streams whose truth is known."""

import numpy as np
import pytest

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.evaluation.drift import baseline, detection
from cogorch_dagster.evaluation.drift.calibration import calibrate
from cogorch_dagster.evaluation.drift.scanning import Streams

PERIOD, TRAINING = 24, 14
DAYS = 60


def noise(streams: int, seed: int, phi: float = 0.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    out = rng.standard_normal((streams, DAYS * PERIOD))
    for t in range(1, out.shape[1]):
        out[:, t] = phi * out[:, t - 1] + np.sqrt(1 - phi**2) * out[:, t]
    return out


def season(height: float = 3.0) -> np.ndarray:
    return height * np.cos(2 * np.pi * np.arange(DAYS * PERIOD) / PERIOD + 1)


def detect(values: np.ndarray, **given: object) -> detection.Detected:
    return detection.detect(detection.prepare(values, PERIOD, TRAINING, **given))


def test_the_baseline_recovers_profile_scale_and_autocorrelation() -> None:
    values = 10 + season() + 2 * noise(200, 1, phi=0.4)
    fitted = baseline.fit(values[:, : 28 * PERIOD], PERIOD)
    profile = 10 + season()[:PERIOD]
    assert np.abs(fitted.profile - profile).max(axis=1).mean() < 0.6, "free means of 24 slots would be at 1"
    assert np.median(fitted.scale) == pytest.approx(2, rel=0.03)
    assert np.median(fitted.phi) == pytest.approx(0.4, abs=0.03)
    innovations = fitted.innovations(values)[:, 28 * PERIOD :]
    assert innovations.std() == pytest.approx(1, rel=0.05)
    assert abs((innovations[:, 1:] * innovations[:, :-1]).mean()) < 0.03


def test_outliers_and_holes_in_training_do_not_bend_the_baseline() -> None:
    values = season() + noise(50, 2)
    clean = baseline.fit(values[:, : TRAINING * PERIOD], PERIOD)
    rng = np.random.default_rng(3)
    spoilt = values[:, : TRAINING * PERIOD].copy()
    spoilt[rng.random(spoilt.shape) < 0.03] = 40
    spoilt[rng.random(spoilt.shape) < 0.1] = np.nan
    fitted = baseline.fit(spoilt, PERIOD)
    assert np.abs(fitted.profile - clean.profile).mean() < 0.2
    assert np.abs(fitted.scale / clean.scale - 1).max() < 0.35


def test_less_than_three_days_are_refused() -> None:
    with pytest.raises(InvalidInput, match="at least 3 days"):
        baseline.fit(np.zeros((1, 2 * PERIOD)), PERIOD)


def test_level_scores_are_twice_the_log_likelihood_ratio() -> None:
    z = np.clip(noise(1, 4)[:, :200], -3, 3)
    scores = Streams(z).scores("level")
    t = 150
    by_hand = []
    for w in (6, 8, 12, 17, 24, 34, 48, 68, 96):
        if t + 1 - w < 48:
            continue
        before, after = z[0, : t + 1 - w], z[0, t + 1 - w : t + 1]
        everything = z[0, : t + 1]
        ratio = (
            ((everything - everything.mean()) ** 2).sum()
            - ((before - before.mean()) ** 2).sum()
            - ((after - after.mean()) ** 2).sum()
        )
        by_hand.append(ratio + 2 * np.log(w / 6))
    assert scores.score[0, t] == pytest.approx(max(by_hand), rel=1e-9)


def test_trend_scores_are_the_gain_in_squares_of_a_ramp() -> None:
    z = np.clip(noise(1, 5)[:, :200], -3, 3)
    t = 160
    y = z[0, : t + 1]
    by_hand = []
    for w in (48, 68, 96):
        ramp = np.concatenate([np.zeros(t + 1 - w), np.arange(1, w + 1) / w])
        design = np.stack([np.ones(t + 1), ramp], axis=1)
        rest = np.linalg.lstsq(design, y, rcond=None)[1][0]
        by_hand.append(((y - y.mean()) ** 2).sum() - rest + 2 * np.log(w / 48))
    assert Streams(z).scores("trend").score[0, t] == pytest.approx(max(by_hand), rel=1e-9)


@pytest.mark.parametrize(
    ("kind", "size", "within"), [("level", 1.0, 96), ("level", -2.0, 60), ("spread", 1.0, 96), ("trend", 2.0, 14 * 24)]
)
def test_a_change_is_found_once_with_its_onset_and_size(kind: str, size: float, within: int) -> None:
    at, count = 40 * PERIOD, 40
    values = noise(count, 6)
    after = np.arange(DAYS * PERIOD) >= at
    if kind == "level":
        values[:, after] += size
    elif kind == "spread":
        values[:, after] *= 1 + size
    else:
        values += size * np.clip((np.arange(DAYS * PERIOD) - at) / (7 * PERIOD), 0, 1)
    found = detect(season() + values)
    first = [next((c for c in found.changes if c.stream == s and c.alarmed >= at), None) for s in range(count)]
    hits = [c for c in first if c is not None and c.alarmed < at + within]
    assert len(hits) >= 38
    assert np.mean([c.kind == kind or (kind == "trend" and c.kind == "level") for c in hits]) >= 0.9
    assert abs(np.median([c.onset - at for c in hits])) <= (72 if kind == "trend" else 8)
    if kind == "level":
        assert np.median([c.size for c in hits]) == pytest.approx(size, rel=0.3)
    later = [c for c in found.changes if c.alarmed >= at + within and c.kind == kind != "trend"]
    assert len(later) <= 8, "after a change its own regime is what is normal"


def test_an_incident_is_an_incident_and_no_regime() -> None:
    values, at = season() + noise(100, 7), 40 * PERIOD
    values[:, at : at + 5] += 5
    found = detect(values)
    mine = [i for i in found.incidents if abs(i.began - at) <= 2]
    assert len(mine) >= 98
    assert np.median([i.alarmed - at for i in mine]) <= 2
    ended = [i.ended for i in mine if i.ended is not None]
    assert len(ended) == len(mine) and np.median(ended) == pytest.approx(at + 5, abs=1)
    assert np.median([i.size for i in mine]) == pytest.approx(5, abs=0.5)
    assert len([c for c in found.changes if at <= c.alarmed < at + 48]) <= 2


def test_what_lasts_longer_than_a_day_is_a_regime() -> None:
    values, at = season() + noise(40, 8), 40 * PERIOD
    values[:, at:] += 6
    found = detect(values)
    assert len({c.stream for c in found.changes if at <= c.alarmed < at + 30 and c.kind == "level"}) >= 39


def test_an_incident_without_an_end_is_open() -> None:
    values = season() + noise(20, 9)
    values[:, -4:] += 6
    opened = [i for i in detect(values).incidents if i.ended is None]
    assert len({i.stream for i in opened}) == 20


def test_missing_buckets_raise_no_alarm_and_hide_no_change() -> None:
    values = season() + noise(60, 10)
    values[np.random.default_rng(1).random(values.shape) < 0.2] = np.nan
    values[:, 30 * PERIOD : 32 * PERIOD] = np.nan
    quiet = detect(values)
    assert len(quiet.incidents) + len(quiet.changes) <= 25, "one in 10,000 of 66,000 buckets, and as much again"
    values[:, 45 * PERIOD :] += 1.5
    assert len({c.stream for c in detect(values).changes if c.alarmed >= 45 * PERIOD}) >= 58


def test_unreliable_buckets_are_not_alarming() -> None:
    rng = np.random.default_rng(11)
    counts = np.where(np.arange(DAYS * PERIOD) % PERIOD < 6, 5, 500)[None, :]
    values = rng.standard_normal((100, DAYS * PERIOD)) / np.sqrt(counts)
    reliability = np.broadcast_to(np.sqrt(np.minimum(counts / 500, 1.0)), values.shape)
    known, unknown = detect(values, reliability=reliability), detect(values)
    assert len(unknown.incidents) > 200
    assert len(known.incidents) + len(known.changes) <= 30


def test_a_constant_stream_is_quiet_and_any_change_of_it_is_seen() -> None:
    values = np.ones((3, DAYS * PERIOD))
    assert detect(values) == detection.Detected((), ())
    values[1, 45 * PERIOD :] = 1.01
    assert {c.stream for c in detect(values).changes} | {i.stream for i in detect(values).incidents} == {1}


def test_calibration_gives_the_rate_on_other_streams() -> None:
    thresholds = calibrate(detection.prepare(season() + noise(300, 12), PERIOD, TRAINING), 1e-3)
    other = detection.prepare(season() + noise(300, 13), PERIOD, TRAINING)
    found = detection.detect(other, thresholds)
    buckets = 300 * (DAYS - TRAINING) * PERIOD
    assert (len(found.incidents) + len(found.changes)) / buckets == pytest.approx(1e-3, rel=0.25)


def test_calibration_refuses_too_few_streams() -> None:
    with pytest.raises(InvalidInput, match="200000 buckets"):
        calibrate(detection.prepare(noise(3, 1), PERIOD, TRAINING), 1e-4)
