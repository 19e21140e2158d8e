"""The peers of `benchmarks/drift.py`: river's ADWIN and PageHinkley, and a plain robust z-score.

ADWIN is river's own object. PageHinkley is river's recursion over all streams at once, which takes a hundredth of the
time; `check_page_hinkley` holds it against river's own object. Each returns, per stream, the buckets of its alarms.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from benchmarks.drift_streams import PERIOD, Floats

Alarms = list[list[int]]
WINDOW = 7 * PERIOD
MOST_STEPS = 14


@dataclass(frozen=True)
class Peer:
    """A detector with one free number; `low` and `high` bound it, and a higher number means fewer alarms."""

    name: str
    input: str
    alarms: Callable[[Floats, float], Alarms]
    low: float
    high: float


def peers() -> list[Peer]:
    """Each peer in the settings that it is tried with."""
    found = []
    for kind in ("raw", "deseasonalised"):
        for scale in (1.0, 0.125):
            # The free number is -log10(delta).
            found.append(Peer(f"ADWIN scale {scale:g}", kind, _adwin(scale), 0.3, 60.0))
        for delta in (0.1, 0.25, 0.5):
            found.append(Peer(f"PageHinkley delta {delta:g}", kind, _page_hinkley(delta), 1.0, 2000.0))
        found.append(Peer("robust z", kind, robust_z, 2.0, 200.0))
    return found


def best_settings() -> list[Peer]:
    """Of each peer the setting that finds most on these streams."""
    best = {("ADWIN scale 1", "raw"), ("PageHinkley delta 0.5", "deseasonalised"), ("robust z", "deseasonalised")}
    return [peer for peer in peers() if (peer.name, peer.input) in best]


def _adwin(scale: float) -> Callable[[Floats, float], Alarms]:
    def alarms(values: Floats, strictness: float) -> Alarms:
        from river.drift import ADWIN

        found: Alarms = []
        for stream in (values * scale).tolist():
            detector = ADWIN(delta=10.0**-strictness, clock=1)
            mine = []
            for t, value in enumerate(stream):
                detector.update(value)
                if detector.drift_detected:
                    mine.append(t)
            found.append(mine)
        return found

    return alarms


def _page_hinkley(delta: float) -> Callable[[Floats, float], Alarms]:
    return lambda values, threshold: page_hinkley(values, threshold, delta)


def page_hinkley(values: Floats, threshold: float, delta: float, alpha: float = 0.9999, fewest: int = 30) -> Alarms:
    """river.drift.PageHinkley(min_instances=30, delta, threshold, alpha, mode="both"), all streams at once."""
    streams, buckets = values.shape
    found: Alarms = [[] for _ in range(streams)]
    n, mean, up, down = (np.zeros(streams) for _ in range(4))
    least, most = np.full(streams, np.inf), np.full(streams, -1.0)
    for t in range(buckets):
        x = values[:, t]
        n += 1
        mean += (x - mean) / n
        up = alpha * up + x - mean - delta
        down = alpha * down + x - mean + delta
        least, most = np.minimum(least, up), np.maximum(most, down)
        alarm = (n >= fewest) & ((up - least > threshold) | (most - down > threshold))
        for row in np.flatnonzero(alarm).tolist():
            found[row].append(t)
            n[row] = mean[row] = up[row] = down[row] = 0.0
            least[row], most[row] = np.inf, -1.0
    return found


def check_page_hinkley(values: Floats, threshold: float, delta: float) -> None:
    """Raises AssertionError where the recursion and river's own object differ."""
    from river.drift import PageHinkley

    ours = page_hinkley(values, threshold, delta)
    for stream, mine in zip(values.tolist(), ours, strict=True):
        detector = PageHinkley(threshold=threshold, delta=delta)
        theirs = []
        for t, value in enumerate(stream):
            detector.update(value)
            if detector.drift_detected:
                theirs.append(t)
        assert theirs == mine, (threshold, delta, theirs, mine)


_z_of: dict[int, tuple[Floats, Floats]] = {}


def robust_z(values: Floats, threshold: float) -> Alarms:
    """|x − median|/(1.4826·MAD) over the week before; alarms less than a day apart are one."""
    if id(values) not in _z_of:
        _z_of[id(values)] = (values, _z(values))  # the values too, so that their id stays theirs
    z = _z_of[id(values)][1]
    found: Alarms = []
    for row in z:
        mine: list[int] = []
        last = -PERIOD
        for t in np.flatnonzero(row > threshold).tolist():
            if t - last >= PERIOD:
                mine.append(t)
            last = t
        found.append(mine)
    return found


def _z(values: Floats) -> Floats:
    import pandas as pd

    frame = pd.DataFrame(values.T)
    median = frame.rolling(WINDOW).median().shift(1)
    off = (frame - median).abs()
    mad = off.rolling(WINDOW, min_periods=WINDOW // 2).median().shift(1)
    return np.asarray((off / (1.4826 * mad)).fillna(0.0).to_numpy().T)


def solve(peer: Peer, values: Floats, first: int, wanted: float) -> float:
    """The smallest number at which the peer has at most the wanted count of alarms from bucket `first` on."""
    low, high = peer.low, peer.high
    for _ in range(MOST_STEPS):
        middle = float(np.sqrt(low * high))
        count = sum(t >= first for mine in peer.alarms(values, middle) for t in mine)
        low, high = (middle, high) if count > wanted else (low, middle)
        if high / low < 1.01 or 0.97 * wanted <= count <= wanted:
            return middle if count <= wanted else high
    return high
