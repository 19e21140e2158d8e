"""Hours, the unit in which the lake stores, recomputes and forgets."""

from datetime import UTC, datetime, timedelta

HOUR = timedelta(hours=1)


def floor_hour(moment: datetime) -> datetime:
    """The UTC hour that holds a moment.

    Raises:
        ValueError: the moment has no time zone.
    """
    if moment.tzinfo is None:
        raise ValueError(f"{moment.isoformat()} has no time zone; attach one, for example datetime.UTC.")
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def hours_between(since: datetime, until: datetime) -> list[datetime]:
    """Every hour that overlaps [since, until), in order; empty when until <= since."""
    hour = floor_hour(since)
    last = floor_hour(until)
    hours = []
    while hour < last:
        hours.append(hour)
        hour += HOUR
    if last < until and since < until:
        hours.append(last)
    return hours


def label(hour: datetime) -> str:
    """`YYYY-MM-DDTHH`, as in the lake's paths and in partition keys of the lake."""
    return floor_hour(hour).strftime("%Y-%m-%dT%H")
