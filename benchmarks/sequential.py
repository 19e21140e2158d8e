"""False alarms, power, coverage and cost of the sequential comparison, each watched after every 100 observations.

    .venv/bin/python benchmarks/sequential.py [--streams 2000] [--length 10000] [--seed 0] [--json]

A stream is `length` observations of both arms together, split at random. The bars: at most 5 % of the A/A streams are
ever called better or worse; of those with a true improvement of .03 at a standard deviation of .25, at least 90 % are
called better. Beside them: intervals that miss the truth under skewed rewards and lopsided splits, the same test with a
covariate, the sample-ratio check (at its own alpha), and CPU time of one verdict.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cogorch_dagster.evaluation.sequential import mismatch, quantiles
from cogorch_dagster.evaluation.sequential.running import Running, watch
from cogorch_dagster.evaluation.sequential.verdict import ArmData, Guardrail, Moments, Sample, Verdict, judge

Floats = NDArray[np.float64]
Draw = Callable[[np.random.Generator, tuple[int, int]], Floats]
SHARES = (0.5, 0.1, 0.01)
CHUNK = 250
GAIN, DEVIATION = 0.03, 0.25
MISMATCH_ALPHA = 0.001


def normal(rng: np.random.Generator, shape: tuple[int, int]) -> Floats:
    return rng.normal(0.5, DEVIATION, shape)


def inflated(share: float) -> Draw:
    """Zero with probability 1 - share, else uniform in [0, 1]."""
    return lambda rng, shape: (rng.random(shape) < share) * rng.random(shape)


def binary(rate: float) -> Draw:
    return lambda rng, shape: (rng.random(shape) < rate).astype(np.float64)


def beta(a: float, b: float) -> Draw:
    return lambda rng, shape: rng.beta(a, b, shape)


SKEWED: dict[str, tuple[Draw, Draw, float]] = {
    "normal": (normal, normal, 0.0),
    "beta(8, 1)": (beta(8, 1), beta(8, 1), 0.0),
    "20 % nonzero": (inflated(0.2), inflated(0.2), 0.0),
    "5 % nonzero": (inflated(0.05), inflated(0.05), 0.0),
    "2 % nonzero": (inflated(0.02), inflated(0.02), 0.0),
    "97 % ones": (binary(0.97), binary(0.97), 0.0),
    "5 % ones": (binary(0.05), binary(0.05), 0.0),
    "99 to 90 % ones": (binary(0.99), binary(0.90), -0.09),
    "5 to 50 % nonzero": (inflated(0.05), inflated(0.5), 0.225),
}


def chunks(
    rng: np.random.Generator, streams: int, length: int, share: float, control: Draw, treatment: Draw
) -> Iterator[tuple[Floats, NDArray[np.bool_]]]:
    for start in range(0, streams, CHUNK):
        shape = (min(CHUNK, streams - start), length)
        treated = rng.random(shape) < share
        yield np.where(treated, treatment(rng, shape), control(rng, shape)), treated


def shifted(draw: Draw) -> Draw:
    return lambda rng, shape: draw(rng, shape) + GAIN


def stops(runs: list[Running], *verdicts: Verdict) -> Floats:
    return np.concatenate([run.first(*verdicts) for run in runs])


def summary(at: Floats) -> dict[str, float]:
    found = at[np.isfinite(at)]
    return {
        "share": float(np.isfinite(at).mean()),
        "median_stop": float(np.median(at)),
        "p90_stop": float(np.quantile(at, 0.9, method="higher")) if found.size else float("inf"),
    }


def bars(rng: np.random.Generator, streams: int, length: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for share in SHARES:
        null = [watch(y, a, expected_share=share) for y, a in chunks(rng, streams, length, share, normal, normal)]
        gain = [
            watch(y, a, expected_share=share) for y, a in chunks(rng, streams, length, share, normal, shifted(normal))
        ]
        found[f"{share:g}"] = {
            "false_alarms": summary(stops(null, Verdict.better, Verdict.worse))["share"],
            "detected": summary(stops(gain, Verdict.better)),
            "called_worse": summary(stops(gain, Verdict.worse))["share"],
        }
    return found


def coverage(rng: np.random.Generator, streams: int, length: int) -> dict[str, dict[str, float]]:
    """Share of streams whose interval ever missed the truth, by reward and split."""
    return {
        name: {
            f"{share:g}": float(
                np.concatenate(
                    [
                        watch(y, a, expected_share=share).misses(truth)
                        for y, a in chunks(rng, streams, length, share, control, treatment)
                    ]
                ).mean()
            )
            for share in SHARES
        }
        for name, (control, treatment, truth) in SKEWED.items()
    }


def covariate(rng: np.random.Generator, streams: int, length: int, correlation: float = 0.7) -> dict[str, Any]:
    runs: dict[str, list[Running]] = {"plain": [], "adjusted": [], "plain A/A": [], "adjusted A/A": []}
    for noise, treated in chunks(rng, streams, length, 0.5, normal, normal):
        before = rng.normal(0.0, DEVIATION, noise.shape)
        y = correlation * before + np.sqrt(1 - correlation**2) * noise
        for name, values in (("", y + GAIN * treated), (" A/A", y)):
            runs[f"plain{name}"].append(watch(values, treated, expected_share=0.5))
            runs[f"adjusted{name}"].append(watch(values, treated, expected_share=0.5, covariate=before))
    return {
        "correlation": correlation,
        "plain": summary(stops(runs["plain"], Verdict.better)),
        "adjusted": summary(stops(runs["adjusted"], Verdict.better)),
        "false_alarms": summary(stops(runs["adjusted A/A"], Verdict.better, Verdict.worse))["share"],
    }


def split(rng: np.random.Generator, streams: int, length: int) -> dict[str, Any]:
    found = {}
    for intended, true in ((0.5, 0.5), (0.1, 0.1), (0.01, 0.01), (0.5, 0.55), (0.5, 0.52), (0.1, 0.12)):
        at = []
        looks = np.arange(100, length + 1, 100)
        for start in range(0, streams, CHUNK):
            size = min(CHUNK, streams - start)
            treated = rng.binomial(100, true, (size, len(looks))).cumsum(-1)
            evidence = mismatch.log_evidence((looks - treated)[..., None], treated[..., None], [intended])
            hit = evidence >= -np.log(MISMATCH_ALPHA)
            at.append(np.where(hit.any(-1), looks[hit.argmax(-1)], np.inf))
        found[f"{intended:g} intended, {true:g} sent"] = summary(np.concatenate(at))
    return found


def milliseconds(call: Callable[[], object], repetitions: int = 50) -> float:
    call()
    start = time.process_time()
    for _ in range(repetitions):
        call()
    return (time.process_time() - start) * 1000 / repetitions


def cost(rng: np.random.Generator) -> dict[str, float]:
    failures = {"failures": Moments(5_000_000, 0.01, 0.0099)}
    arm = ArmData(Moments(5_000_000, 0.6, 0.06), failures)
    raw = ArmData(Sample(rng.random(500_000)))
    latency = rng.exponential(100, 500_000)
    guardrails = [Guardrail("failures", 0.005)]
    return {
        "moments_of_10_million_ms": milliseconds(
            lambda: judge(arm, arm, expected_share=0.5, guardrails=guardrails), repetitions=200
        ),
        "values_1_million_ms": milliseconds(
            lambda: judge(ArmData(Sample(raw.reward.values)), raw, expected_share=0.5), repetitions=20
        )
        if isinstance(raw.reward, Sample)
        else float("nan"),
        "p95_1_million_ms": milliseconds(
            lambda: quantiles.quantile_difference(latency, latency, 0.95, 0.05, target_size=1_000), repetitions=5
        ),
    }


def report(found: dict[str, Any]) -> None:
    print("split   false alarms   detected   median stop   90 % stop   called worse")
    for share, row in found["bars"].items():
        power = row["detected"]
        print(
            f"{share:<7} {row['false_alarms']:12.2%} {power['share']:10.1%} {power['median_stop']:13,.0f} "
            f"{power['p90_stop']:11,.0f} {row['called_worse']:14.2%}"
        )
    print("\nintervals that ever missed the truth  " + "".join(f"{share:>8}" for share in SHARES))
    for name, row in found["coverage"].items():
        print(f"  {name:<35} " + "".join(f"{value:8.2%}" for value in row.values()))
    cuped = found["covariate"]
    print(
        f"\ncovariate of correlation {cuped['correlation']:g}: median stop {cuped['adjusted']['median_stop']:,.0f} "
        f"instead of {cuped['plain']['median_stop']:,.0f}, false alarms {cuped['false_alarms']:.2%}"
    )
    print(f"\nsample-ratio mismatch called (alpha {MISMATCH_ALPHA:g}), median stop")
    for name, row in found["split"].items():
        print(f"  {name:<28} {row['share']:8.2%} {row['median_stop']:10,.0f}")
    print("\nCPU of one verdict")
    for name, value in found["cost"].items():
        print(f"  {name:<28} {value:8.2f}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--streams", type=int, default=2_000)
    parser.add_argument("--length", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of tables")
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    size = options.streams, options.length
    found = {
        "streams": options.streams,
        "length": options.length,
        "bars": bars(rng, *size),
        "coverage": coverage(rng, *size),
        "covariate": covariate(rng, *size),
        "split": split(rng, *size),
        "cost": cost(rng),
    }
    if options.json:
        print(json.dumps(found))
    else:
        report(found)
    even = found["bars"]["0.5"]
    return 0 if even["false_alarms"] <= 0.05 and even["detected"]["share"] >= 0.9 else 1


if __name__ == "__main__":
    sys.exit(main())
