"""`cogorch doctor`: the platform's checks, and those of what stands on it.

Like every check of `platform.doctor`, each names what it found and the remedy, and none changes anything.
"""

import subprocess
import sys
from collections.abc import Iterator

from cogorch_dagster.errors import Unavailable
from cogorch_dagster.platform import doctor as platform_doctor
from cogorch_dagster.platform.doctor import SETUP, Check, Finding, examine
from cogorch_dagster.settings import Settings

# A fresh interpreter that loads the location needs about three seconds of one core.
LOAD_TIMEOUT_S = 120


def diagnose(settings: Settings) -> Iterator[Check]:
    """All checks, one after the other as they are made."""
    sound = {}
    for check in platform_doctor.checks(settings):
        sound[check.name] = check.ok
        yield check
    ready = sound["postgres"] and sound["databases"] and sound["schema"]
    yield examine("dagster_instance", lambda: _instance(settings), SETUP)
    yield examine("code_location", lambda: _code_location(settings), "Correct the error that the detail ends with.")
    yield examine("seeds", lambda: _seeds(settings, ready), SETUP)
    yield examine(
        "audit",
        lambda: _audit(settings, ready),
        "The log was changed outside cogorch: compare with a backup, `cogorch audit log` shows the place.",
    )
    yield examine(
        "learning",
        lambda: _learning(settings, ready),
        "`cogorch flags set learning.enabled true --reason ...` turns it on again.",
        required=False,
    )
    yield examine(
        "stale_hours",
        lambda: _stale_hours(settings, ready),
        "`cogorch up` scores them by itself; without it, `cogorch stats --refresh` does.",
        required=False,
    )


def _instance(settings: Settings) -> Finding:
    from cogorch_dagster.platform import dagster_instance

    file = dagster_instance.directory(settings) / "dagster.yaml"
    return file.is_file(), f"{file} " + ("is there" if file.is_file() else "is missing")


def _code_location(settings: Settings) -> Finding:
    from cogorch_dagster.platform import dagster_instance, stack

    program = (
        "from cogorch_dagster.definitions import defs\n"
        "graph = defs.resolve_asset_graph()\n"
        "print(len(graph.get_all_asset_keys()), 'assets,', len(graph.asset_check_keys), 'checks')"
    )
    loaded = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        env={**stack.inherited_environment(), **dagster_instance.environment(settings)},
        cwd=settings.home if settings.home.is_dir() else None,
        capture_output=True,
        text=True,
        timeout=LOAD_TIMEOUT_S,
        check=False,
    )
    if loaded.returncode == 0:
        return True, f"loads: {loaded.stdout.strip().splitlines()[-1]}"
    return False, (loaded.stderr.strip().splitlines() or ["no output"])[-1]


def _seeds(settings: Settings, ready: bool) -> Finding:
    from cogorch_dagster.platform import database
    from cogorch_dagster.policies import seed, store

    _require(ready)
    with database.transaction(settings) as connection:
        active = {version.policy_id for version in store.versions(connection, status="active")}
    wanted = [str(document["policyId"]) for document in seed.documents()]
    missing = [policy_id for policy_id in wanted if policy_id not in active]
    return not missing, f"no active version of {', '.join(missing)}" if missing else f"active: {', '.join(wanted)}"


def _audit(settings: Settings, ready: bool) -> Finding:
    from cogorch_dagster.platform import database
    from cogorch_dagster.policies import audit

    _require(ready)
    with database.transaction(settings) as connection:
        report = audit.verify(connection)
    return report.ok, report.problem or f"{report.records} records, chain unbroken"


def _learning(settings: Settings, ready: bool) -> Finding:
    from cogorch_dagster.platform import database
    from cogorch_dagster.policies import flags

    _require(ready)
    with database.transaction(settings) as connection:
        enabled = flags.get_flag(connection, flags.LEARNING)
    return enabled, f"{flags.LEARNING} is {'true' if enabled else 'false: no proposals and no activations'}"


def _stale_hours(settings: Settings, ready: bool) -> Finding:
    from cogorch_dagster.observations import inbox
    from cogorch_dagster.platform import database
    from cogorch_dagster.rewards.materialise import stale_hours

    _require(ready)
    stale = stale_hours(settings)
    with database.transaction(settings) as connection:
        waiting = inbox.depth(connection)
    first = f", the first is {stale[0]:%Y-%m-%dT%H}" if stale else ""
    return not stale, f"{len(stale)} hours are not scored{first}; {waiting} rows wait in the inbox"


def _require(ready: bool) -> None:
    if not ready:
        raise Unavailable("not examined: PostgreSQL is not ready")
