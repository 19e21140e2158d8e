"""The hours that Dagster knows: one partition for each, the present one included."""

import warnings
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import dagster as dg

from cogorch_dagster.lake.hours import HOUR

if TYPE_CHECKING:
    from cogorch_dagster.lake.catalogue import HourEntry

# The parameter is beta in 1.13; the warning would stand in the output of every run, several times.
warnings.filterwarnings("ignore", message=".*`backfill_policy`.*", category=dg.BetaWarning)

KEY_FORMAT = "%Y-%m-%d-%H:%M"
# Dagster advises at most 100,000 partitions an asset, and lists all of them in some steps: 0.2 s for these.
# The first partition also stands for every hour before it.
FIRST_HOUR = datetime(2024, 1, 1, tzinfo=UTC)

# The present hour is a partition too, so that what happens now is scored now and not only after the hour.
HOURLY = dg.HourlyPartitionsDefinition(start_date=FIRST_HOUR.strftime(KEY_FORMAT), fmt=KEY_FORMAT, end_offset=1)
IN_ONE_RUN = dg.BackfillPolicy.single_run()

RANGE_START = "dagster/asset_partition_range_start"
RANGE_END = "dagster/asset_partition_range_end"


def key_of(hour: datetime) -> str:
    """The partition key of an hour."""
    return hour.astimezone(UTC).strftime(KEY_FORMAT)


def hour_of(key: str) -> datetime:
    """The hour of a partition key."""
    return datetime.strptime(key, KEY_FORMAT).replace(tzinfo=UTC)


def hours_of(context: dg.AssetExecutionContext) -> list[datetime]:
    """The hours that a run materialises, in order."""
    return [hour_of(key) for key in context.partition_keys]


def partition_rows(context: dg.AssetExecutionContext, entries: "Iterable[HourEntry]") -> None:
    """Tell the web interface how many rows each partition has."""
    for entry in entries:
        if entry.hour >= FIRST_HOUR:
            context.add_asset_metadata({"dagster/partition_row_count": entry.rows}, partition_key=key_of(entry.hour))


def with_earlier(hours: list[datetime], stale_hours: Callable[[], list[datetime]]) -> list[datetime]:
    """The hours of a run, and when the first partition is among them the stale hours before it."""
    if FIRST_HOUR not in hours:
        return hours
    return [hour for hour in stale_hours() if hour < FIRST_HOUR] + hours


def partition_of(hour: datetime) -> datetime:
    """The hour whose partition covers an hour."""
    return max(hour, FIRST_HOUR)


def range_tags(first: datetime, last: datetime) -> dict[str, str]:
    """The tags that make one run materialise every hour from `first` to `last`, both included."""
    return {RANGE_START: key_of(first), RANGE_END: key_of(last)}


def contiguous(hours: Iterable[datetime], *, gap: int, longest: int) -> list[tuple[datetime, datetime]]:
    """Hours as ranges (first, last): at most `gap` hours are missing inside one, and none is longer than `longest`."""
    ranges: list[tuple[datetime, datetime]] = []
    for hour in sorted(hours):
        if ranges:
            first, last = ranges[-1]
            if hour - last <= (gap + 1) * HOUR and hour - first < longest * HOUR:
                ranges[-1] = (first, hour)
                continue
        ranges.append((hour, hour))
    return ranges
