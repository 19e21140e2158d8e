"""What features are worth: width of the doubly robust interval with and without them, coverage, leaks, and speed.

    .venv/bin/python benchmarks/features.py [--requests 2400] [--rate 25] [--runs 600] [--seed 1] [--data DIR] [--json]

The lab: a PostgreSQL, a service, three model servers and a router of its own, under a Poisson load, once as it is and
once with one server that errs at times. Features are selected on the first half of each log; on the second half a
candidate is evaluated with them and without, and the ratio of the interval widths has a bootstrap interval. The same
ratio on RouteLLM's questions (a simulated log of both models' known answers) and on the Open Bandit Dataset (real
clicks), whose features come from their files. Coverage: simulated logs whose truth is known, where features explain
the reward and where they do not. Leaks: features built to look into the future must all be named, and no other. Drift:
how often a change of mix is reported as a regime change, and a drop of .1 in what one arm earns. Speed:
decisions per second by as-of aggregation and by Featuretools, on the same definitions.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

# One thread, so that CPU time is not that of threads waiting for each other.
for variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
from ingest import wait_ready, with_free_port  # noqa: E402

sys.path.insert(0, str(Path(__file__).parent.parent))

from cogorch_dagster.evaluation.bandit import LoggedBandit  # noqa: E402
from cogorch_dagster.evaluation.drift.expected import expectation, residuals  # noqa: E402
from cogorch_dagster.evaluation.estimators import estimates  # noqa: E402
from cogorch_dagster.features import synthesis  # noqa: E402
from cogorch_dagster.features.building import build  # noqa: E402
from cogorch_dagster.features.calculation import Matrix, by_featuretools, calculate  # noqa: E402
from cogorch_dagster.features.gain import Gain, gain, measure_gain  # noqa: E402
from cogorch_dagster.features.history import History  # noqa: E402
from cogorch_dagster.features.leakage import leaks  # noqa: E402
from cogorch_dagster.lab import fleet, load  # noqa: E402
from cogorch_dagster.lab.faults import Fault  # noqa: E402
from cogorch_dagster.observations import inbox  # noqa: E402
from cogorch_dagster.platform import database, migrate, postgres  # noqa: E402
from cogorch_dagster.policies.seed import seed as plant  # noqa: E402
from cogorch_dagster.service import tokens  # noqa: E402
from cogorch_dagster.settings import Settings  # noqa: E402
from tests.evaluation.drift.mixes import DAYS, PER_BUCKET, PERIOD, TRAINING, stream  # noqa: E402
from tests.evaluation.drift.mixes import found as reported  # noqa: E402
from tests.features.simulation import explained_log, simulated_history  # noqa: E402

POLICY, FAULTY = "router-core", "digits-forest"
CANDIDATE = {"modelWeights": {"digits-linear": 0.2, "digits-forest": 0.6, "digits-ensemble": 0.2}}
WINDOWS_S = (5, 15, 60)
LEAST_COVERAGE = 0.92
Found = dict[str, Any]


def lab(chosen: argparse.Namespace, faults: bool) -> Found:
    """One log of the lab: features from its first half, the gain on its second."""
    # A socket path has at most 107 characters, hence no deeper folder.
    with tempfile.TemporaryDirectory(prefix="cogorch-bench-") as folder:
        settings = with_free_port(Path(folder))
        migrate.prepare(settings)
        try:
            with service(settings):
                done = loaded(settings, chosen, faults)
            inbox.drain(settings)
            middle = done.started_at + (done.finished_at - done.started_at) / 2
            end = done.finished_at + timedelta(seconds=1)
            judged = timedelta(0)  # the load has judged every answer by now
            begun = time.process_time()
            features = build(
                settings, POLICY, done.started_at, middle, windows_s=WINDOWS_S, seed=chosen.seed, feedback_delay=judged
            )
            spent = time.process_time() - begun
            found = measure_gain(settings, features, CANDIDATE, middle, end, seed=chosen.seed, feedback_delay=judged)
        finally:
            database.dispose()
            postgres.stop(settings, mode="immediate")
    return {
        **row("lab with faults" if faults else "lab", found),
        "selected": list(features.selected),
        "considered": features.considered,
        "explained": features.explained,
        "explained_without": features.explained_without,
        "build_cpu_s": spent,
    }


@contextmanager
def service(settings: Settings) -> Iterator[None]:
    environment = {
        **os.environ,
        "COGORCH_HOME": str(settings.home),
        "COGORCH_SERVICE_PORT": str(settings.service_port),
    }
    with (settings.home / "service.log").open("wb") as log:
        process = subprocess.Popen([sys.executable, "-m", "cogorch_dagster.service"], env=environment, stderr=log)
    try:
        wait_ready(settings.service_url)
        yield
    finally:
        process.terminate()
        process.wait()


def loaded(settings: Settings, chosen: argparse.Namespace, faults: bool) -> load.LoadReport:
    with database.transaction(settings) as connection:
        plant(connection)
        secret = tokens.issue(connection, "benchmark", ["ingest", "read"], replace=True, actor="benchmark")
    with fleet.running(settings, settings.service_url, secret, secret, policy_id=POLICY, seed=chosen.seed) as running:
        ended = threading.Event()
        thread = threading.Thread(target=err_at_times, args=(running, ended, chosen.seed))
        if faults:
            thread.start()
        try:
            done = load.run(running.router_url, rate=chosen.rate, count=chosen.requests, seed=chosen.seed)
        finally:
            ended.set()
            if faults:
                thread.join()
        if not running.flush():
            raise SystemExit("the service has not acknowledged all observations; raise --requests or lower --rate")
    return done


def err_at_times(running: fleet.Fleet, ended: threading.Event, seed: int) -> None:
    """One server errs in 60 % of its answers, on and off for 3 to 9 seconds each."""
    rng, errs = np.random.default_rng(seed), False
    while not ended.wait(float(rng.uniform(3, 9))):
        errs = not errs
        running.inject(FAULTY, Fault(kind="errors", rate=0.6) if errs else Fault(kind="none"))


def route_llm(data: Path, seed: int) -> list[Found]:
    """A log as long as the file, both models drawn alike; the candidate asks the strong one in 9 of 10 cases."""
    file = pd.read_csv(data / "routellm" / "outcomes.csv")
    right = file[["weak_ok", "strong_ok"]].to_numpy(float)
    rng = np.random.default_rng(seed)
    n = len(file)
    asked = rng.integers(0, n, n)
    action = rng.integers(0, 2, n)
    tasks = pd.get_dummies(file["task"]).to_numpy(float)
    columns = np.column_stack([file["prompt_chars"].to_numpy(float), tasks])[asked]
    target = np.tile([0.1, 0.9], (n, 1))
    found = []
    for name, slices in (("routellm", {}), ("routellm, by task", {"task": file["task"].to_numpy(str)[asked]})):
        log = LoggedBandit(
            action, np.full(n, 0.5), right[asked, action], ("weak", "strong"), slices=slices, features=columns
        )
        patterns, (ratios,) = log.against(target)
        found.append(row(name, gain(patterns, ratios, columns, np.arange(n), seed=seed)))
    return found


def open_bandit(data: Path, seed: int) -> Found:
    """Clicks of a uniform policy; the candidate shows a third of the items twice as often as the rest."""
    file = pd.read_csv(data / "obd" / "random" / "men" / "men.csv").sort_values("timestamp", kind="stable")
    users = [pd.get_dummies(file[f"user_feature_{number}"]).to_numpy(float) for number in range(4)]
    affinity = file[[f"user-item_affinity_{number}" for number in range(34)]].to_numpy(float)
    columns = np.column_stack([*users, affinity.sum(axis=1)])
    weights = np.where(np.arange(34) % 3 == 0, 2.0, 1.0)
    log = LoggedBandit(
        file["item_id"].to_numpy(np.int64),
        file["propensity_score"].to_numpy(float),
        file["click"].to_numpy(float),
        tuple(map(str, range(34))),
        slices={"position": file["position"].to_numpy()},
        features=columns,
    )
    patterns, (ratios,) = log.against(weights / weights.sum())
    return row("open bandit", gain(patterns, ratios, columns, np.arange(len(log)), seed=seed))


def row(name: str, found: Gain) -> Found:
    return {"name": name, **asdict(found)}


def coverage(runs: int, seed: int) -> list[Found]:
    """Share of simulated logs whose interval covers the truth, and the ratio of mean widths."""
    found = []
    for name, strength in (("features explain", 1.0), ("features explain nothing", 0.0)):
        hits, widths, errors = np.zeros(2), np.zeros(2), []
        begun = time.process_time()
        for number in range(runs):
            log, target, truth = explained_log(800, [seed, number], strength)
            for place, each in enumerate((replace(log, features=None), log)):
                patterns, (ratios,) = each.against(target)
                low, high = estimates(patterns, ratios, ("dr",), each.reward_model)["dr"].ci95
                hits[place] += low <= truth <= high
                widths[place] += high - low
                if place:
                    errors.append((low + high) / 2 - truth)
        found.append(
            {
                "name": name,
                "runs": runs,
                "without": float(hits[0]) / runs,
                "with_features": float(hits[1]) / runs,
                "ratio": float(widths[1] / widths[0]),
                "bias": float(np.mean(errors)),
                "bias_se": float(np.std(errors) / np.sqrt(runs)),
                "cpu_s": time.process_time() - begun,
            }
        )
    return found


def planted(seed: int) -> Found:
    """Leaks of three makes, each of which must be found under its name, and nothing else."""
    history = simulated_history(1500, seed)
    definitions = synthesis.every(synthesis.synthesise(history), (300,))
    honest = leaks(history, lambda past: calculate(past, definitions), seed=seed)
    early = replace(history, events={**history.events, "attempts": from_the_start(history)})
    found = leaks(early, lambda past: calculate(past, definitions), seed=seed)
    later = leaks(history, lambda past: with_the_next(past, calculate(past, definitions)), seed=seed)
    return {
        "honest": [str(each) for each in honest],
        "outcome at the start of its attempt": sorted({each.feature for each in found}),
        "of attempts": bool(found) and all("attempts" in each.feature for each in found),
        "the next judgement": sorted({each.feature for each in later}),
    }


def from_the_start(history: History) -> pd.DataFrame:
    """Attempts that claim to be known when they began."""
    frame = history.events["attempts"].copy()
    frame["available_us"] = frame["known_us"] - np.ceil(frame["duration_ms"] * 1000).astype(np.int64)
    return frame


def with_the_next(history: History, matrix: Matrix) -> Matrix:
    """One more feature: the quality of the first judgement after the decision began."""
    judged = history.events["judgements"]
    place = np.searchsorted(judged["known_us"].to_numpy(), matrix.started_us)
    quality = np.append(judged["quality"].to_numpy(), np.nan)[place]
    return Matrix(
        matrix.decision_id,
        matrix.started_us,
        (*matrix.names, "judgements.NEXT(quality)"),
        np.column_stack([matrix.values, quality]),
    )


def speed(seed: int) -> Found:
    large, small = simulated_history(100_000, seed), simulated_history(2000, seed)
    features = synthesis.synthesise(small)
    definitions = synthesis.every(features)
    begun = time.process_time()
    calculate(large, definitions)
    fast = len(large.decisions) / (time.process_time() - begun)
    few = small.of(small.decisions["decision_id"].iloc[-20:])
    begun = time.process_time()
    peer = by_featuretools(few, features, synthesis.WINDOWS_S)
    slow = len(few.decisions) / (time.process_time() - begun)
    ours = calculate(few, definitions)
    apart = max(float(np.nanmax(np.abs(ours.column(name) - peer.column(name)), initial=0.0)) for name in peer.names)
    return {
        "features": len(definitions),
        "rows_per_s": fast,
        "featuretools_rows_per_s": slow,
        "largest_difference": apart,
    }


def drift(runs: int, seed: int) -> Found:
    """Streams in which a regime change is reported, by the mean reward and by the residual of a model of the mix."""
    found: Found = {"runs": runs}
    for name, mix, size in (("the mix changes", True, 0.0), ("an arm gets worse", False, 0.1), ("both", True, 0.1)):
        by_mean = by_residual = 0
        for number in range(runs):
            draws, bucket = stream([seed, number], mix=mix, drift=size)
            training = np.flatnonzero(bucket < TRAINING * PERIOD)
            model = expectation(draws.rows(training), ("a", "b"), ("x", "y"))
            rest = residuals(model, draws, bucket, DAYS * PERIOD)
            plain = np.bincount(bucket, weights=draws.reward)[None] / PER_BUCKET
            by_mean += sum(reported(plain, float(draws.reward.var()))) > 0
            by_residual += sum(reported(rest.values, rest.within)) > 0
        found[name] = {"mean": by_mean, "residual": by_residual}
    return found


def show(found: Found) -> None:
    print(f"{'log':<20} {'decisions':>9} {'feat.':>5} {'width without':>14} {'with':>8} {'ratio':>7}  95 % bootstrap")
    for each in found["gain"]:
        widths = [each[name]["ci95"][1] - each[name]["ci95"][0] for name in ("without", "with_features")]
        low, high = each["ratio_ci95"]
        count = each["without"]["decisions"]
        print(
            f"{each['name']:<20} {count:>9,} {each['features']:>5} {widths[0]:>14.5f} {widths[1]:>8.5f} "
            f"{each['ratio']:>7.4f}  {low:.4f} to {high:.4f}"
        )
        if "selected" in each:
            print(
                f"    {len(each['selected'])} of {each['considered']} selected, explained {each['explained']:.1%} of "
                f"held-out variance (arm alone {each['explained_without']:.1%}), {each['build_cpu_s']:.1f} s CPU"
            )
            for name in each["selected"]:
                print(f"    {name}")
    for each in found["coverage"]:
        print(
            f"coverage, {each['name']:<25} without {each['without']:.1%}, with {each['with_features']:.1%}; ratio "
            f"{each['ratio']:.3f}, bias {each['bias']:+.5f} +- {each['bias_se']:.5f} ({each['runs']} runs)"
        )
    for name, each in found["leaks"].items():
        print(f"leaks, {name}: {len(each) if isinstance(each, list) else each}")
    streams = found["drift"].pop("runs")
    for name, each in found["drift"].items():
        print(f"drift, {name}: of {streams} reported by the mean {each['mean']}, by the residual {each['residual']}")
    pace = found["speed"]
    print(
        f"speed: {pace['rows_per_s']:,.0f} decisions/s for {pace['features']} features, Featuretools "
        f"{pace['featuretools_rows_per_s']:.1f}; largest difference {pace['largest_difference']:.1e}"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=2400, help="to the lab, for each of its two logs")
    parser.add_argument("--rate", type=float, default=25.0, help="of them in a second")
    parser.add_argument("--runs", type=int, default=600, help="simulated logs for the coverage")
    parser.add_argument("--streams", type=int, default=40, help="for each kind of drift")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder of the public data")
    parser.add_argument("--without-lab", action="store_true", help="leave the lab out, which takes minutes")
    parser.add_argument("--json", action="store_true", help="one JSON value instead of a table")
    chosen = parser.parse_args()
    logs = [] if chosen.without_lab else [lab(chosen, faults) for faults in (False, True)]
    if (chosen.data / "routellm").is_dir():
        logs += [*route_llm(chosen.data, chosen.seed), open_bandit(chosen.data, chosen.seed)]
    found = {
        "gain": logs,
        "coverage": coverage(chosen.runs, chosen.seed),
        "leaks": planted(chosen.seed),
        "drift": drift(chosen.streams, chosen.seed),
        "speed": speed(chosen.seed),
    }
    print(json.dumps(found)) if chosen.json else show(found)
    covered = all(each["with_features"] >= LEAST_COVERAGE for each in found["coverage"])
    caught = not found["leaks"]["honest"] and found["leaks"]["the next judgement"] == ["judgements.NEXT(quality)"]
    return 0 if covered and caught and found["leaks"]["of attempts"] else 1


if __name__ == "__main__":
    sys.exit(main())
