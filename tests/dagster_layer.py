"""What the tests of the Dagster layer share: the real definitions on a test's installation, and traffic to learn."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg

from assets.partitions import range_tags
from cogorch_dagster.definitions import build_defs
from cogorch_dagster.lake.hours import floor_hour
from cogorch_dagster.platform.database import transaction
from cogorch_dagster.policies import decisions, drafts, store
from cogorch_dagster.policies.store import PolicyVersion
from cogorch_dagster.settings import Settings
from resources.installation import CogorchResource
from tests.evaluation.traffic import POLICY, WEIGHTS, generate, install

PARAMS = {
    "modelWeights": {"small": 0.5, "medium": 0.3, "large": 0.2},
    "latencyTargetMs": 100,
    "maxCostUsd": 0.002,
    "fallbackOn": ["error", "timeout"],
    "cooldownMs": 2000,
    "timeoutMs": 1000,
}


def resource(settings: Settings) -> CogorchResource:
    """The resource on a test's installation; the fixture has put the server's address into the environment."""
    return CogorchResource(home=str(settings.home), database=settings.database)


def definitions(settings: Settings) -> dg.Definitions:
    return build_defs(resource_overrides={"cogorch": resource(settings)})


def run(
    settings: Settings,
    job: str,
    instance: dg.DagsterInstance | None = None,
    *,
    hours: tuple[datetime, datetime] | None = None,
    config: dict[str, Any] | None = None,
    assets: Sequence[str] | None = None,
) -> dg.ExecuteInProcessResult:
    """Execute a job of the real definitions in this process; failures are returned, not raised."""
    return (
        definitions(settings)
        .resolve_job_def(job)
        .execute_in_process(
            instance=instance,
            tags=range_tags(*hours) if hours else None,
            run_config=config or {},
            asset_selection=[dg.AssetKey(name) for name in assets] if assets else None,
            raise_on_error=False,
        )
    )


def metadata(result: dg.ExecuteInProcessResult, asset: str) -> dict[str, Any]:
    """The metadata of an asset's last materialisation in a run; a table as the list of its rows."""
    events = [
        event.step_materialization_data.materialization
        for event in result.get_asset_materialization_events()
        if event.asset_key == dg.AssetKey(asset)
    ]
    return {name: plain(value) for name, value in events[-1].metadata.items()}


def plain(value: dg.MetadataValue) -> Any:
    """What a metadata value holds; a table as the list of its rows."""
    return [record.data for record in value.records] if isinstance(value, dg.TableMetadataValue) else value.value


def failure(result: dg.ExecuteInProcessResult) -> str:
    """The description of the run's first failed step."""
    data = next(event for event in result.all_events if event.is_step_failure).step_failure_data
    assert data.user_failure_data is not None, data.error
    return str(data.user_failure_data.description)


def recent_hours() -> tuple[datetime, datetime]:
    """The hours that `traffic` fills."""
    now = floor_hour(datetime.now(UTC))
    return now - timedelta(hours=7), now


def traffic(settings: Settings, count: int = 1200) -> None:
    """A router in force and enough of its decisions to propose better weights."""
    install(settings)
    generate(WEIGHTS, count, seed=1).store(settings)


def draft(settings: Settings, small: float = 0.5) -> PolicyVersion:
    """A candidate of the router that nobody has decided on."""
    weights = {"small": small, "medium": 0.3, "large": round(0.7 - small, 9)}
    with transaction(settings) as connection:
        return drafts.propose_version(connection, POLICY, {**PARAMS, "modelWeights": weights}, actor="test")


def approve(settings: Settings, version: PolicyVersion) -> str:
    """Approve as a person would; returns the decision's id."""
    with transaction(settings) as connection:
        made = decisions.approve(
            connection, version.policy_id, version.version, "ada", "it is better", digest=version.digest
        )
    return str(made.decision_id)


def active(settings: Settings) -> str:
    """The router's version in force."""
    with transaction(settings) as connection:
        found = store.active(connection, POLICY)
    assert found is not None
    return found.version
