"""Dagster's event log has no retention of its own: delete old runs without blinding the asset graph.

A run that holds the latest materialisation of a partition or asset stays, so that no hour turns from done to missing.
"""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

import dagster as dg
from dagster import DagsterEventType, DagsterInstance, RunRecord, RunsFilter

FINISHED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
PAGE = 200
MOST_LISTED = 20_000


@dataclass(frozen=True)
class Trimmed:
    """How many runs were deleted, and how many old ones were kept because an asset's latest state is theirs."""

    deleted: int
    kept: int


def trim_runs(instance: DagsterInstance, *, older_than: datetime, most: int, budget_s: float) -> Trimmed:
    """Delete finished runs that were last updated before a moment, the newest of them first.

    Args:
        most: at most so many are deleted.
        budget_s: stop after so many seconds.
    """
    deadline = time.monotonic() + budget_s
    latest: dict[dg.AssetKey, Mapping[str, int]] = {}
    deleted = kept = 0
    # Listed before anything is deleted: a page begins after a run, and a deleted one is no place to begin.
    for record in list(islice(_old_runs(instance, older_than), MOST_LISTED)):
        if deleted >= most or time.monotonic() > deadline:
            break
        if _holds_latest(instance, record, latest):
            kept += 1
            continue
        run_id = record.dagster_run.run_id
        instance.compute_log_manager.delete_logs(prefix=[run_id])
        instance.delete_run(run_id)
        deleted += 1
    return Trimmed(deleted, kept)


def _old_runs(instance: DagsterInstance, older_than: datetime) -> Iterator[RunRecord]:
    cursor: str | None = None
    while True:
        page = instance.get_run_records(
            RunsFilter(statuses=FINISHED, updated_before=older_than), limit=PAGE, cursor=cursor
        )
        yield from page
        if len(page) < PAGE:
            return
        cursor = page[-1].dagster_run.run_id


def _holds_latest(instance: DagsterInstance, record: RunRecord, latest: dict[dg.AssetKey, Mapping[str, int]]) -> bool:
    """Whether some event of the run is what its asset, or one of its partitions, was last materialised by."""
    events = instance.get_records_for_run(
        record.dagster_run.run_id, of_type=DagsterEventType.ASSET_MATERIALIZATION
    ).records
    for event in events:
        key = event.asset_key
        if key is None:
            continue
        partition = event.partition_key
        if partition is None:
            newest = instance.get_latest_materialization_event(key)
            if newest is None or newest.run_id == record.dagster_run.run_id:
                return True
        else:
            if key not in latest:
                latest[key] = instance.event_log_storage.get_latest_storage_id_by_partition(
                    key, DagsterEventType.ASSET_MATERIALIZATION
                )
            if latest[key].get(partition) == event.storage_id:
                return True
    return False
