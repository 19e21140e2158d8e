"""Scoring, rollups and rolling statistics against a hand-written DuckDB query that does the same work.

Both sides read the same generated Parquet files and write scored rows and hourly rollups to Parquet, with the same
threads and memory limit, each in a process of its own, and their results are compared. The peer is what one would
write for this once: three statements over all hours, no catalogue, no hour by itself, no version of anything. The
reported ratio is ours / peer.

    python benchmarks/rewards_vs_duckdb.py
    python benchmarks/rewards_vs_duckdb.py --rows 50000000 --hours 168 --no-peer --repeat 1      # peak memory
"""

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cogorch_dagster.lake import catalogue, files, query
from cogorch_dagster.lake.hours import HOUR
from cogorch_dagster.platform import database, migrate, postgres
from cogorch_dagster.platform.database import transaction
from cogorch_dagster.policies.seed import seed
from cogorch_dagster.rewards.configuration import active_configurations
from cogorch_dagster.settings import Settings

START = datetime(2026, 3, 2, tzinfo=UTC)


def main() -> int:
    arguments = _arguments()
    if arguments.worker:
        print(json.dumps(_work(arguments.worker, Settings(_env_file=None), arguments.hours)))
        return 0
    home = Path(tempfile.mkdtemp(prefix="cogorch-bench-"))
    settings = Settings(home=home, _env_file=None)
    try:
        _say(f"Generating {arguments.rows:,} observations over {arguments.hours} hours under {home} ...")
        migrate.prepare(settings)
        with transaction(settings) as connection:
            seed(connection)
        generate(settings, arguments.rows, arguments.hours)
        report: dict[str, Any] = {
            "rows": arguments.rows,
            "hours": arguments.hours,
            "lake_mb": _megabytes(home / "lake"),
        }
        names = ["ours"] if arguments.no_peer else ["peer", "ours"]
        runs: list[dict[str, dict[str, Any]]] = []
        for _ in range(arguments.repeat):
            runs.append({name: _in_a_process(name, home, arguments.hours) for name in names})
            for name, result in runs[-1].items():
                _say(f"{name:>5}: {_words(result)}")
        report["runs"] = runs
        report["peak_mb"] = max(run["ours"]["peak_mb"] for run in runs)
        if not arguments.no_peer:
            for kind in ("total_s", "cpu_s"):
                ratio = statistics.median(run["ours"][kind] / run["peer"][kind] for run in runs)
                report[f"ratio_{kind}"] = round(ratio, 3)
            report["agree"] = all(run["ours"].pop("check") == run["peer"].pop("check") for run in runs)
            _say(
                f"median ratio ours / peer: {report['ratio_total_s']} of the time, {report['ratio_cpu_s']} of the CPU; "
                f"same results: {report['agree']}"
            )
        if arguments.json:
            print(json.dumps(report))
        return 0 if report.get("agree", True) else 1
    finally:
        database.dispose()
        postgres.stop(settings, mode="immediate")
        shutil.rmtree(home, ignore_errors=True)


def generate(settings: Settings, rows: int, hours: int) -> None:
    """Hours of equal size: 16 components of two kinds, two versions each, 3 % not successful, feedback on 5 %."""
    with query.connected(settings) as duckdb:
        for number in range(hours):
            hour = START + number * HOUR
            first, last = rows * number // hours, rows * (number + 1) // hours
            observations = files.reserve(settings, "observations", hour)
            feedback = files.reserve(settings, "feedback", hour)
            _copy(duckdb, _observations_sql(hour, first, last), files.urls(settings, [observations])[0])
            judged = f"""SELECT observation_id, 'quality' AS metric, (hash(observation_id) % 2)::DOUBLE AS value,
                                occurred_at + INTERVAL 5 MINUTE AS occurred_at, ingested_at
                         FROM {query.scan(settings, [observations])} WHERE hash(source_id) % 20 = 0"""
            _copy(duckdb, judged, files.urls(settings, [feedback])[0])
            count = duckdb.execute(f"SELECT count(*) FROM {query.scan(settings, [feedback])}").fetchone()
            with transaction(settings) as connection:
                catalogue.append_files(connection, "observations", hour, [observations], last - first)
                catalogue.append_files(connection, "feedback", hour, [feedback], count[0] if count else 0)


def _observations_sql(hour: datetime, first: int, last: int) -> str:
    step = 3_600_000_000 // max(last - first, 1)
    u = [f"(hash(8 * i + {salt}) / 18446744073709551616.0)" for salt in range(6)]
    return f"""
        SELECT format('{{:08x}}-{{:04x}}-7{{:03x}}-8{{:03x}}-{{:012x}}', ms >> 16, ms & 65535, i & 4095,
                      (i >> 12) & 4095, (hash(i) & 281474976710655)::BIGINT) AS observation_id,
               'bench' AS source, i::VARCHAR AS source_id, moment AS occurred_at, moment AS ingested_at,
               CASE WHEN c < 8 THEN 'router:' ELSE 'service:' END || c AS component,
               CASE WHEN c < 8 THEN 'llm_router' ELSE 'service' END AS component_kind,
               'policy-' || c AS policy_id, CASE WHEN {u[1]} < 0.5 THEN '1.0.0' ELSE '1.0.1' END AS policy_version,
               NULL::VARCHAR AS decision_id, 'arm-' || (i % 3) AS action, 1.0 / 3 AS propensity,
               ['arm-0', 'arm-1', 'arm-2'] AS action_set, 'tenant-' || (i % 7) AS tenant, NULL::VARCHAR AS unit_key,
               NULL::VARCHAR AS context, NULL::VARCHAR AS tags,
               CASE WHEN {u[2]} < 0.97 THEN 'success' WHEN {u[2]} < 0.985 THEN 'failure' WHEN {u[2]} < 0.995 THEN
                    'timeout' WHEN {u[2]} < 0.998 THEN 'cancelled' ELSE 'pending' END AS outcome,
               NULL::VARCHAR AS error_type, 200::SMALLINT AS http_status, 1::SMALLINT AS attempt, false AS cache_hit,
               round(exp(6 + 1.2 * sqrt(-2 * ln({u[3]} + 1e-12)) * cos(6.283185307179586 * {u[4]})), 1) AS duration_ms,
               NULL::DOUBLE AS ttft_ms, NULL::DOUBLE AS queue_ms, 'bench' AS provider_name, 'arm' AS request_model,
               (i % 900)::BIGINT AS input_tokens, (i % 300)::BIGINT AS output_tokens,
               round({u[5]} * 0.05, 5) AS cost_amount, 'USD' AS cost_currency, NULL::VARCHAR AS trace_id,
               CASE WHEN {u[0]} < 0.3 THEN 4.0 ELSE 1.0 END AS sample_weight
        FROM (SELECT *, epoch_ms(moment) AS ms
              FROM (SELECT i, hash(i, 99) % 16 AS c,
                           TIMESTAMPTZ '{hour.isoformat()}' + to_microseconds((i - {first}) * {step}) AS moment
                    FROM range({first}, {last}) AS r(i)))"""


def _copy(duckdb: Any, sql: str, target: str) -> None:
    duckdb.execute(f"COPY ({sql}) TO '{target}' (FORMAT parquet, COMPRESSION zstd)")


def _work(worker: str, settings: Settings, hours: int) -> dict[str, object]:
    """One side, timed; runs in a process of its own so that the peak memory is its own."""
    wanted = [START + number * HOUR for number in range(hours)]
    timings, check = (ours if worker == "ours" else peer)(settings, wanted)
    timings["total_s"] = sum(timings.values())
    usage = resource.getrusage(resource.RUSAGE_SELF)
    timings["cpu_s"] = usage.ru_utime + usage.ru_stime
    peak = usage.ru_maxrss / 1024
    return {**{name: round(value, 3) for name, value in timings.items()}, "peak_mb": round(peak), "check": check}


def ours(settings: Settings, hours: list[datetime]) -> tuple[dict[str, float], list[object]]:
    from cogorch_dagster.rewards.materialise import materialise_rewards, materialise_rollups
    from cogorch_dagster.rewards.rolling import rolling_stats

    timings: dict[str, float] = {}
    _timed(timings, "scoring_s", lambda: materialise_rewards(settings, hours, force=True))
    _timed(timings, "rollups_s", lambda: materialise_rollups(settings, hours, force=True))
    rows = _timed(timings, "rolling_s", lambda: rolling_stats(settings, hours[-1] + HOUR))
    seven = [row for row in rows if row.window == "7d" and row.policy_version is None]
    return timings, [[row.component, row.n, round(row.mean_reward, 9), round(row.p95_ms, 3)] for row in seven]


def peer(settings: Settings, hours: list[datetime]) -> tuple[dict[str, float], list[object]]:
    """Written by hand for this data: one scoring COPY, one rollup COPY, one query of the statistics."""
    import duckdb

    folder = settings.home / "peer"
    folder.mkdir(exist_ok=True)
    connection = duckdb.connect(
        config={
            "memory_limit": settings.duckdb_memory_limit,
            "threads": settings.duckdb_threads,
            "temp_directory": str(folder / "spill"),
            "preserve_insertion_order": False,
        }
    )
    connection.execute("SET TimeZone = 'UTC'")
    root, windows = settings.lake_root, _windows(hours[-1] + HOUR)
    timings: dict[str, float] = {}
    for name, sql in (("scoring_s", PEER_SCORING), ("rollups_s", PEER_ROLLUPS), ("rolling_s", PEER_ROLLING)):
        text = sql.format(lake=root, folder=folder, windows=windows, configs=_configs(settings))
        _timed(timings, name, lambda text=text: connection.execute(text).fetchall())
    seven = connection.execute(
        f"SELECT component, n, mean_reward, p95 FROM '{folder}/rolling.parquet' "
        "WHERE name = '7d' AND policy_version IS NULL ORDER BY component"
    ).fetchall()
    return timings, [[component, n, round(mean, 9), round(p95, 3)] for component, n, mean, p95 in seven]


def _windows(as_of: datetime) -> str:
    lengths = {"1h": 1, "24h": 24, "7d": 168}
    return ", ".join(f"('{name}', TIMESTAMPTZ '{as_of - timedelta(hours=n)}')" for name, n in lengths.items())


def _configs(settings: Settings) -> str:
    """The seeded parameters, as one would paste them into the query."""
    with transaction(settings) as connection:
        active = active_configurations(connection)
    rows = []
    for kind in ("llm_router", "service"):
        config = active.resolve("any", kind)
        p = config.params
        weights = [p.base, p.success_weight, p.quality_weight, p.latency_weight, p.cost_weight, p.error_weight]
        numbers = ", ".join(f"{value}::DOUBLE" for value in (*weights, p.max_latency_ms, p.max_cost_usd))
        rows.append(f"('{kind}', '{config.policy_id}', '{config.version}', {numbers})")
    return ", ".join(rows)


PEER_SCORING = """
COPY (
  SELECT *, least(greatest(base + success_part + quality_part - latency_part - cost_part - error_part, 0), 1) AS score
  FROM (
    SELECT o.observation_id, occurred_at, component, o.component_kind, policy_id, policy_version, outcome, duration_ms,
           cost_amount, sample_weight, quality, reward_policy_id, reward_version, base,
           CASE WHEN outcome = 'success' THEN w_success ELSE 0 END AS success_part,
           w_quality * coalesce(quality, 0) AS quality_part,
           w_latency * least(coalesce(duration_ms, 0) / max_latency, 1) AS latency_part,
           w_cost * least(coalesce(cost_amount, 0) / max_cost, 1) AS cost_part,
           CASE WHEN outcome <> 'success' THEN w_error ELSE 0 END AS error_part
    FROM '{lake}/observations/*/*.parquet' AS o
    JOIN (VALUES {configs}
    ) AS c(kind, reward_policy_id, reward_version, base, w_success, w_quality, w_latency, w_cost, w_error,
           max_latency, max_cost) ON o.component_kind = c.kind
    LEFT JOIN (
      SELECT observation_id, arg_max(value, occurred_at) AS quality
      FROM '{lake}/feedback/*/*.parquet' WHERE metric = 'quality' GROUP BY observation_id
    ) AS q ON o.observation_id = q.observation_id
    WHERE outcome IN ('success', 'failure', 'timeout')
  )
) TO '{folder}/rewards.parquet' (FORMAT parquet, COMPRESSION zstd)
"""

PEER_ROLLUPS = """
COPY (
  WITH fine AS (
    SELECT date_trunc('hour', occurred_at) AS hour, component, component_kind, policy_id, policy_version,
           ceil(ln(greatest(duration_ms, 1e-3)) / ln(1.02))::INTEGER AS bucket, count(*) AS n_scored,
           count(*) FILTER (outcome = 'success') AS n_success, count(*) FILTER (outcome = 'failure') AS n_failure,
           count(*) FILTER (outcome = 'timeout') AS n_timeout,
           sum(sample_weight) AS sw, sum(sample_weight ** 2) AS sw2,
           sum(sample_weight) FILTER (outcome = 'success') AS success_swy,
           sum(sample_weight ** 2) FILTER (outcome = 'success') AS success_sw2y,
           sum(sample_weight * score) AS reward_swy, sum(sample_weight ** 2 * score) AS reward_sw2y,
           sum(sample_weight ** 2 * score ** 2) AS reward_sw2y2, count(cost_amount) AS cost_n,
           sum(sample_weight) FILTER (cost_amount IS NOT NULL) AS cost_sw,
           sum(sample_weight * cost_amount) AS cost_swy,
           sum(sample_weight ** 2) FILTER (cost_amount IS NOT NULL) AS cost_sw2,
           sum(sample_weight ** 2 * cost_amount) AS cost_sw2y,
           sum(sample_weight ** 2 * cost_amount ** 2) AS cost_sw2y2, count(duration_ms) AS duration_n,
           sum(sample_weight) FILTER (duration_ms IS NOT NULL) AS duration_sw,
           sum(sample_weight * duration_ms) AS duration_swy,
           sum(sample_weight ** 2) FILTER (duration_ms IS NOT NULL) AS duration_sw2,
           sum(sample_weight ** 2 * duration_ms) AS duration_sw2y,
           sum(sample_weight ** 2 * duration_ms ** 2) AS duration_sw2y2
    FROM '{folder}/rewards.parquet' GROUP BY ALL
  ),
  unscored AS (
    SELECT date_trunc('hour', occurred_at) AS hour, component, component_kind, policy_id, policy_version,
           count(*) FILTER (outcome = 'cancelled') AS n_cancelled, count(*) FILTER (outcome = 'pending') AS n_pending
    FROM '{lake}/observations/*/*.parquet' WHERE outcome IN ('cancelled', 'pending') GROUP BY ALL
  )
  SELECT hour, component, component_kind, policy_id, policy_version,
         sum(COLUMNS(* EXCLUDE (hour, component, component_kind, policy_id, policy_version, bucket))),
         map_from_entries(list({{'key': bucket, 'value': duration_sw}}) FILTER (bucket IS NOT NULL)) AS latency
  FROM (SELECT * FROM fine UNION ALL BY NAME SELECT * FROM unscored)
  GROUP BY hour, component, component_kind, policy_id, policy_version
) TO '{folder}/rollups.parquet' (FORMAT parquet, COMPRESSION zstd)
"""

PEER_ROLLING = """
COPY (
  WITH windowed AS (
    SELECT * FROM '{folder}/rollups.parquet' AS r JOIN (VALUES {windows}) AS w(name, since) ON r.hour >= w.since
  ),
  means AS (
    SELECT name, component, policy_id, policy_version, grouping(policy_version) AS total,
           sum(n_scored) + coalesce(sum(n_cancelled), 0) + coalesce(sum(n_pending), 0) AS n, sum(n_scored) AS scored,
           sum(success_swy) / sum(sw) AS success_rate, sum(cost_swy) / sum(cost_sw) AS mean_cost,
           sum(reward_swy) / sum(sw) AS mean_reward,
           sqrt(greatest(sum(success_sw2y) - 2 * success_rate * sum(success_sw2y) + success_rate ** 2 * sum(sw2), 0)
                * scored / (scored - 1)) / sum(sw) AS success_se,
           sqrt(greatest(sum(cost_sw2y2) - 2 * mean_cost * sum(cost_sw2y) + mean_cost ** 2 * sum(cost_sw2), 0)
                * sum(cost_n) / (sum(cost_n) - 1)) / sum(cost_sw) AS cost_se,
           sqrt(greatest(sum(reward_sw2y2) - 2 * mean_reward * sum(reward_sw2y) + mean_reward ** 2 * sum(sw2), 0)
                * scored / (scored - 1)) / sum(sw) AS reward_se
    FROM windowed GROUP BY GROUPING SETS ((name, component), (name, component, policy_id, policy_version))
  ),
  buckets AS (
    SELECT name, component, policy_id, policy_version, grouping(policy_version) AS total, e.key AS bucket,
           sum(e.value) AS weight
    FROM (SELECT name, component, policy_id, policy_version, unnest(map_entries(latency)) AS e FROM windowed)
    GROUP BY e.key, GROUPING SETS ((name, component), (name, component, policy_id, policy_version))
  ),
  quantiles AS (
    SELECT name, component, policy_id, policy_version, total,
           2 * 1.02 ** min(bucket) FILTER (upto >= .5 * everything) / 2.02 AS p50,
           2 * 1.02 ** min(bucket) FILTER (upto >= .95 * everything) / 2.02 AS p95
    FROM (SELECT *, sum(weight) OVER (k ORDER BY bucket) AS upto, sum(weight) OVER k AS everything
          FROM buckets WINDOW k AS (PARTITION BY name, component, policy_id, policy_version, total))
    GROUP BY ALL
  )
  SELECT means.*, p50, p95 FROM means JOIN quantiles ON means.name = quantiles.name
     AND means.component = quantiles.component AND means.policy_id IS NOT DISTINCT FROM quantiles.policy_id
     AND means.policy_version IS NOT DISTINCT FROM quantiles.policy_version AND means.total = quantiles.total
) TO '{folder}/rolling.parquet' (FORMAT parquet, COMPRESSION zstd)
"""


def _timed(timings: dict[str, float], name: str, call: Callable[[], Any]) -> Any:
    start = time.perf_counter()
    result = call()
    timings[name] = time.perf_counter() - start
    return result


def _in_a_process(worker: str, home: Path, hours: int) -> dict[str, Any]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COGORCH_")}
    finished = subprocess.run(
        [sys.executable, __file__, "--worker", worker, "--hours", str(hours)],
        env=environment | {"COGORCH_HOME": str(home)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    result: dict[str, Any] = json.loads(finished.stdout.splitlines()[-1])
    return result


def _megabytes(folder: Path) -> int:
    return round(sum(path.stat().st_size for path in folder.rglob("*.parquet")) / 1e6)


def _words(result: dict[str, object]) -> str:
    times = ", ".join(f"{name.removesuffix('_s')} {value} s" for name, value in result.items() if name.endswith("_s"))
    return f"{times}, peak memory {result['peak_mb']} MB"


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=5_000_000, help="observations to generate (5000000)")
    parser.add_argument("--hours", type=int, default=24, help="hours that they are spread over (24)")
    parser.add_argument("--repeat", type=int, default=3, help="pairs of runs; the median ratio is reported (3)")
    parser.add_argument("--no-peer", action="store_true", help="run our side only")
    parser.add_argument("--json", action="store_true", help="one JSON object on the last line of stdout")
    parser.add_argument("--worker", choices=["ours", "peer"], help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
