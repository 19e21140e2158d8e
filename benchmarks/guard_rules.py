"""What guard rules cost: one check by the engine, and the check of a version against many rules in force.

    .venv/bin/python benchmarks/guard_rules.py [--checks 500] [--rules 20] [--arms 1000] [--json]

The engine's process is started for the first check (cold); each rule is compiled once. The check against rules in force
runs in a transaction on a PostgreSQL of its own, as proposing, approving and activating do. With --json the last line
is JSON alone.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from cogorch_dagster.platform import database, migrate, postgres
from cogorch_dagster.policies import administration, decisions, drafts
from cogorch_dagster.policies.activation import activate
from cogorch_dagster.policies.guards import checks
from cogorch_dagster.policies.guards.engine import Engine
from cogorch_dagster.policies.params_file import params_from_file
from cogorch_dagster.settings import Settings

RULE = Path(__file__).parents[1] / "docs" / "guards" / "weight-cap.rego"


def router(arms: int) -> checks.Candidate:
    """A router that keeps the rule."""
    params = {"modelWeights": {f"arm-{number}": 1 / arms for number in range(arms)}, "maxCostUsd": 0.01}
    return checks.Candidate("router-x", "router", "router:x", "1.0.1", params)


def milliseconds(work: Callable[[], object], times: int) -> dict[str, float]:
    """Median and 99th percentile of a number of runs."""
    taken = []
    for _ in range(times):
        begun = time.perf_counter()
        work()
        taken.append((time.perf_counter() - begun) * 1000)
    return {"median_ms": statistics.median(taken), "p99_ms": sorted(taken)[int(0.99 * (times - 1))]}


def of_engine(times: int, arms: int) -> dict[str, Any]:
    """One rule, without a database."""
    engine = Engine()
    source = RULE.read_text()
    small, large = (
        json.dumps(checks.input_document("propose", router(size), router(size), "benchmark")) for size in (2, arms)
    )
    begun = time.perf_counter()
    engine.deny(source, small)
    cold = (time.perf_counter() - begun) * 1000
    numbers = iter(range(times))
    found = {
        "cold_ms": cold,
        "compile": milliseconds(lambda: engine.compile(f"{source}\n# {next(numbers)}\n"), min(times, 50)),
        "warm": milliseconds(lambda: engine.deny(source, small), times),
        f"warm_{arms}_arms": milliseconds(lambda: engine.deny(source, large), max(times // 20, 5)),
    }
    engine.close()
    return found


def put_into_force(connection: sa.Connection, count: int) -> None:
    """So many rules, each of its own source."""
    params = params_from_file(RULE, "guard")
    for number in range(count):
        policy_id = f"rule-{number}"
        administration.create_policy(connection, policy_id, "guard", actor="benchmark")
        own = {**params, "rego": f"{params['rego']}\n# {number}\n"}
        drafts.propose_version(connection, policy_id, own, actor="benchmark")
        decisions.approve(connection, policy_id, "1.0.0", "benchmark", "measured")
        activate(connection, f"{policy_id}@1.0.0", "benchmark")


def in_transaction(times: int, rules: int) -> dict[str, Any]:
    """All rules in force, read from PostgreSQL and evaluated."""
    with tempfile.TemporaryDirectory() as home:
        settings = Settings(home=Path(home), _env_file=None)
        migrate.prepare(settings)
        try:
            with database.transaction(settings) as connection:
                put_into_force(connection, rules)
                candidate = router(2)

                def check() -> None:
                    checks.require(connection, "propose", candidate, candidate, actor="benchmark")

                check()
                return {"rules": rules, **milliseconds(check, max(times // 10, 5))}
        finally:
            database.dispose()
            postgres.stop(settings, mode="immediate")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checks", type=int, default=500, help="how often a warm rule is asked (default 500)")
    parser.add_argument("--rules", type=int, default=20, help="rules in force (default 20)")
    parser.add_argument("--arms", type=int, default=1000, help="arms of the large router (default 1000)")
    parser.add_argument("--json", action="store_true", help="JSON alone")
    given = parser.parse_args()
    found = {"engine": of_engine(given.checks, given.arms), "in_force": in_transaction(given.checks, given.rules)}
    print(json.dumps(found, indent=None if given.json else 2))


if __name__ == "__main__":
    main()
