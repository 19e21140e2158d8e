"""What a search costs apart from training, on PostgreSQL, beside Optuna's own storages; and two workers against one.

    .venv/bin/python benchmarks/tuning_overhead.py [--trials 300] [--shared 60] [--seed 0] [--json]

Overhead: studies of so many trials whose objective costs nothing, TPE over the eight hyperparameters of the ethical
agent, in one process: ours (journal on PostgreSQL, everything of a trial recorded), and Optuna's loop with its
relational storage on the same PostgreSQL and in memory. The bar: at most 10 ms per trial of ours, by the clock, as
waiting for the database counts. Connections, tables and imports are there before the clock starts. Ours with random
trials besides, so many and five times as many: what is left without a model's draw, which is not to grow.

Workers: a real short training as objective, for one worker process and for two; trials per second from when each could
have ended one to the last end, as processes take a while to start. The bar: 1.8 times the trials where two cores are
free. Then two workers of which one is killed: every trial asked for is there once, complete, with parameters of its
own.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

import optuna

from cogorch_dagster.agents.hyperparameters import first_defaults
from cogorch_dagster.fleet.parameters import default_parameters
from cogorch_dagster.platform import database, migrate, postgres
from cogorch_dagster.platform.database import transaction
from cogorch_dagster.settings import Settings
from cogorch_dagster.tuning import study as studies
from cogorch_dagster.tuning.budget import Budget
from cogorch_dagster.tuning.objective import Measured
from cogorch_dagster.tuning.sampling import FIRST_TRIALS
from cogorch_dagster.tuning.search import Outcome, run
from cogorch_dagster.tuning.space import Space, space_of
from cogorch_dagster.tuning.study import Plan, Study
from cogorch_dagster.tuning.trials import Trials
from cogorch_dagster.tuning.workers import share

BAR_MS, BAR_WORKERS = 10.0, 1.8
SHORT = Budget(episodes=1, evaluation_episodes=1, fleets=4, seeds=1)


def bowl(space: Space, params: Any) -> float:
    return 1 - sum((place - 0.7) ** 2 for place in space.unit(params)) / len(space.dimensions)


def begun(settings: Settings, name: str, **changes: Any) -> Study:
    space = space_of("ppo", "standard", first_defaults("ppo"))
    plan = Plan("ethical", space, None, default_parameters(), changes.pop("budget", SHORT), **changes)
    with transaction(settings) as connection:
        return studies.begin(connection, name, plan)


def ours(settings: Settings, name: str, trials: int, seed: int, sampler: str = "tpe") -> float:
    study = begun(settings, name, seed=seed, sampler=sampler)

    def objective(plan: Plan, params: Any, _: Any) -> list[Measured]:
        value = bowl(plan.space, params)
        return [Measured(value, value, 0.0, 0.0, 1, (value,))]

    found = run(settings, study, trials, objective=objective)
    assert found.best is not None and found.best.values is not None and found.count("complete") == trials
    return found.best.values[0]


def optunas(storage: optuna.storages.BaseStorage, name: str, trials: int, seed: int) -> float:
    space = space_of("ppo", "standard", first_defaults("ppo"))
    sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=FIRST_TRIALS)
    study = optuna.create_study(storage=storage, study_name=name, sampler=sampler, direction="maximize")
    study.optimize(lambda trial: bowl(space, space.suggest(trial)), n_trials=trials)
    return float(study.best_value)


def overhead(settings: Settings, trials: int, seed: int) -> list[dict[str, Any]]:
    url = postgres.server_url(settings, "optuna").replace("postgresql://", "postgresql+psycopg://", 1)
    with database.engine(settings).connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("CREATE DATABASE optuna")
    memory, relational = optuna.storages.InMemoryStorage(), optuna.storages.RDBStorage(url)
    rows: list[tuple[str, int, Callable[[str, int], float]]] = [
        ("ours on PostgreSQL", trials, lambda name, count: ours(settings, name, count, seed)),
        ("ours, random", trials, lambda name, count: ours(settings, f"{name}-random", count, seed, "random")),
        ("ours, random", 5 * trials, lambda name, count: ours(settings, f"{name}-many", count, seed, "random")),
        ("Optuna in memory", trials, lambda name, count: optunas(memory, name, count, seed)),
        ("Optuna's RDB on PostgreSQL", trials, lambda name, count: optunas(relational, name, count, seed)),
    ]
    found = []
    for label, count, search in rows:
        search("warm", FIRST_TRIALS + 2)
        wall, cpu = time.perf_counter(), time.process_time()
        best = search("measured", count)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        row = {"storage": label, "trials": count, "ms": 1000 * wall / count, "cpu_ms": 1000 * cpu / count}
        found.append({**row, "best": best})
    return found


def spread(settings: Settings, name: str, trials: int, workers: int) -> float:
    """Trials per second of so many processes, from when there are as many ends as processes to the last."""
    ends: list[float] = []
    study = begun(settings, name, sampler="random")
    watching = Trials(settings, study)

    def look() -> bool:
        complete = sum(each.state == "complete" for each in watching.all())
        ends.extend([time.perf_counter()] * (complete - len(ends)))
        return complete == trials

    lost = share(settings, study.name, ("trials", str(trials)), workers, look=look, stop=lambda: False)
    watching.close()
    assert not lost
    _require_whole(run(settings, study, trials), trials)
    return (trials - workers) / (ends[-1] - ends[workers - 1])


def with_one_killed(settings: Settings, trials: int) -> dict[str, Any]:
    """Two workers, of which one is killed in a training once a quarter of the trials has ended."""
    study = begun(settings, "killed", sampler="random")
    module, task = "cogorch_dagster.tuning.worker", ("trials", str(trials))
    command = [sys.executable, "-m", module, study.name, str(os.getpid()), *task]
    environment = {**os.environ, "COGORCH_HOME": str(settings.home), "OMP_NUM_THREADS": "1"}
    victim, watching = subprocess.Popen(command, env=environment), Trials(settings, study)
    while sum(each.state == "complete" for each in watching.all()) < trials // 4:
        time.sleep(0.05)
    survivor = subprocess.Popen(command, env=environment)
    while len({each.worker for each in watching.all()}) < 2:
        time.sleep(0.05)
    while not any(f":{victim.pid}:" in (each.worker or "") and each.state == "running" for each in watching.all()):
        time.sleep(0.01)
    victim.send_signal(signal.SIGKILL)
    victim.wait()
    survivor.wait()
    watching.close()
    found = run(settings, study, trials)
    _require_whole(found, trials)
    return {"trials": len(found.trials), "taken_over": [each.number for each in found.trials if each.attempts > 1]}


def _require_whole(found: Outcome, trials: int) -> None:
    tried = {json.dumps(each.params, sort_keys=True) for each in found.trials}
    numbers = [each.number for each in found.trials]
    whole = numbers == list(range(trials)) and found.count("complete") == trials and len(tried) == trials
    assert whole, f"{found.count('complete')} complete, {len(tried)} different of {trials}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=300)
    parser.add_argument("--shared", type=int, default=60, help="trials for one and for two workers")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    home = Path(tempfile.mkdtemp(prefix="cogorch-tuning-"))
    settings = Settings(home=home, _env_file=None)
    try:
        migrate.prepare(settings)
        storages = overhead(settings, arguments.trials, arguments.seed)
        rates = {workers: spread(settings, f"by-{workers}", arguments.shared, workers) for workers in (1, 2)}
        killed = with_one_killed(settings, arguments.shared)
    finally:
        database.dispose()
        postgres.stop(settings, mode="immediate")
        shutil.rmtree(home, ignore_errors=True)
    ratio = rates[2] / rates[1]
    value = {"storages": storages, "trials_per_s": rates, "ratio": ratio, "killed": killed, "load": os.getloadavg()[0]}
    if arguments.json:
        print(json.dumps(value))
        return
    print("TPE unless said otherwise, an objective that costs nothing\n")
    print(f"{'storage':<28}{'trials':>8}{'ms/trial':>10}{'CPU ms':>10}{'best':>10}")
    for row in storages:
        print(f"{row['storage']:<28}{row['trials']:>8}{row['ms']:>10.2f}{row['cpu_ms']:>10.2f}{row['best']:>10.4f}")
    print(f"bar: {BAR_MS:g} ms per trial of ours: {'reached' if storages[0]['ms'] <= BAR_MS else 'missed'}\n")
    print(f"one worker {rates[1]:.2f} trials/s, two {rates[2]:.2f} trials/s: {ratio:.2f} times")
    reached = "reached" if ratio >= BAR_WORKERS else "missed"
    print(f"bar: {BAR_WORKERS:g} times: {reached}, with a load of {value['load']:.1f} on {os.cpu_count()} cores")
    print(f"one of two killed: {killed['trials']} trials, each once and complete; taken over: {killed['taken_over']}")


if __name__ == "__main__":
    main()
