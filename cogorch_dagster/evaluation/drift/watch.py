"""One look at the fleet: scan every component, explain what is new, open and close findings in the control plane.

Regime changes are looked for in hours, incidents in buckets of ten minutes. A look depends on the lake alone, so it may
be repeated at will: what was found before is recognised by metric and time, and an incident that the detector no longer
sees, or sees ended, is closed.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from cogorch_dagster.evaluation.drift import mix, slices
from cogorch_dagster.evaluation.drift.detection import Thresholds, detect, prepare
from cogorch_dagster.evaluation.drift.expected import METRIC, Expectation, Expected, with_residual
from cogorch_dagster.evaluation.drift.panel import DAY, Panel, components_since, read_panels
from cogorch_dagster.platform.database import transaction
from cogorch_dagster.policies import audit, findings, store
from cogorch_dagster.policies.findings import Finding, Sort
from cogorch_dagster.settings import Settings

HOURS = timedelta(hours=1)
MINUTES = timedelta(minutes=10)
LOOK_BACK = {HOURS: 42 * DAY, MINUTES: 21 * DAY}
TRAINING_DAYS = 14
FEWEST_TRAINING_DAYS = 3
# Two looks may place the same change a little differently.
SAME_WITHIN = DAY
# What was known longer ago than this is history, not news.
NEWS = 2 * DAY


@dataclass(frozen=True)
class Seen:
    """What a scan sees, before it is explained and written down."""

    sort: Sort
    component: str
    metric: str
    kind: str
    began_at: datetime
    known_at: datetime
    ended_at: datetime | None
    size: float


@dataclass(frozen=True)
class Look:
    """What came of one look.

    Attributes:
        components: how many were scanned; one with less than 3 days of data and some hours is `too_young`.
        opened, closed: incidents. changed: regime changes.
    """

    as_of: datetime
    components: int
    too_young: tuple[str, ...]
    opened: tuple[Finding, ...]
    closed: tuple[Finding, ...]
    changed: tuple[Finding, ...]


def look(
    settings: Settings,
    as_of: datetime | None = None,
    *,
    components: Sequence[str] = (),
    thresholds: Thresholds | None = None,
    expectation: Expectation | None = None,
) -> Look:
    """Scan, explain, write down.

    Args:
        as_of: the end of what is looked at, now unless given; the bucket that holds it is not complete and left out.
        components: only these; every one that has rewards in the look-back unless given.
        thresholds: see `detection.Thresholds`.
        expectation: of the decisions' rewards by their mix. Where a component has one, its residual is one more stream
            that may change regime, and a change of the reward is split into the mix and what the same requests earn.
    """
    as_of = datetime.now(UTC) if as_of is None else as_of.astimezone(UTC)
    names = list(components) or components_since(settings, as_of - LOOK_BACK[HOURS], as_of)
    seen: list[Seen] = []
    scanned: set[str] = set()
    by_mix: dict[str, Expected] = {}
    for width, sort in ((HOURS, "regime"), (MINUTES, "incident")):
        for panel in read_panels(settings, names, as_of - LOOK_BACK[width], as_of, width):
            if panel.days <= FEWEST_TRAINING_DAYS:
                continue
            scanned.add(panel.component)
            # An incident hurts whoever asks, whatever the mix; so the residual is looked at for regimes alone.
            asked = expectation if sort == "regime" else None
            expected = None if asked is None else asked(panel.component, panel.start, as_of)
            if expected is not None:
                by_mix[panel.component] = expected
            watched = panel if expected is None else with_residual(panel, expected)
            seen += [each for each in scan(watched, thresholds) if each.sort == sort]
    made, closed = _write(settings, as_of, _apart(seen), scanned, by_mix)
    return Look(
        as_of=as_of,
        components=len(names),
        too_young=tuple(name for name in names if name not in scanned),
        opened=tuple(each for each in made if each.sort == "incident"),
        closed=tuple(closed),
        changed=tuple(each for each in made if each.sort == "regime"),
    )


def _apart(seen: Sequence[Seen]) -> list[Seen]:
    """Without the incidents by which a regime change of the same metric began to show."""
    regimes = [each for each in seen if each.sort == "regime"]
    return [
        each
        for each in seen
        if each.sort == "regime"
        or not any(
            each.metric == regime.metric
            and each.component == regime.component
            and regime.began_at - HOURS <= each.began_at <= regime.began_at + DAY
            for regime in regimes
        )
    ]


def scan(panel: Panel, thresholds: Thresholds | None = None) -> list[Seen]:
    """Incidents and regime changes of one panel; trained on its first 14 days, of a short one on half of them."""
    training = min(TRAINING_DAYS, max(FEWEST_TRAINING_DAYS, int(panel.days / 2)))
    prepared = prepare(
        panel.values, panel.period, training, least_scale=panel.least_scale, reliability=panel.reliability
    )
    found = detect(prepared, thresholds)

    def seen(sort: Sort, row: int, kind: str, began: int, known: int, ended: int | None, size: float) -> Seen:
        times = (panel.time_of(began), panel.time_of(known + 1), None if ended is None else panel.time_of(ended))
        return Seen(sort, panel.component, panel.metrics[row], kind, *times, size)

    last = panel.values.shape[1] - 1
    incidents = [
        seen("incident", each.stream, "incident", each.began, each.alarmed, each.ended, each.size)
        # What lasts longer than a day is a regime, which the scan by the hour reports.
        for each in found.incidents
        if each.lasted(last) <= panel.period
    ]
    changes = [
        seen("regime", each.stream, each.kind, each.onset, each.alarmed, None, each.size) for each in found.changes
    ]
    return [*incidents, *changes]


def _write(
    settings: Settings, as_of: datetime, seen: Sequence[Seen], scanned: set[str], by_mix: Mapping[str, Expected]
) -> tuple[list[Finding], list[Finding]]:
    """Findings that are new, and incidents that have ended."""
    with transaction(settings) as connection:
        known = findings.findings(connection, since=as_of - max(LOOK_BACK.values()), limit=100_000)
    news = [
        each for each in seen if each.known_at >= as_of - NEWS and not any(_same(each, finding) for finding in known)
    ]
    documents = [_document(settings, each, as_of, by_mix.get(each.component)) for each in _without_repeats(news)]
    with transaction(settings) as connection:
        # Taken before reading again: two looks at the same time write everything once.
        audit.hold(connection)
        known = findings.findings(connection, since=as_of - max(LOOK_BACK.values()), limit=100_000)
        fresh = [
            document
            for each, document in zip(_without_repeats(news), documents, strict=True)
            if not any(_same(each, finding) for finding in known)
        ]
        made = findings.insert(connection, fresh)
        closed = []
        for finding in known:
            if finding.ended_at is None and finding.component in scanned:
                ended, why = _ended(finding, seen, as_of)
                if ended is not None:
                    closed.append(
                        findings.close(
                            connection, finding.finding_id, actor=findings.DETECTOR, reason=why, ended_at=ended
                        )
                    )
    return made, closed


def _ended(finding: Finding, seen: Sequence[Seen], as_of: datetime) -> tuple[datetime | None, str]:
    """When an open incident ended, and why; None while it lasts."""
    mine = [each for each in seen if _same(each, finding)]
    if any(each.ended_at is None for each in mine):
        return None, ""
    if mine:
        return max(each.ended_at for each in mine if each.ended_at is not None), "back to normal"
    return as_of, "no longer an incident: it lasts longer than a day, or what came late explains it"


def _same(seen: Seen, finding: Finding) -> bool:
    if (seen.sort, seen.component, seen.metric) != (finding.sort, finding.component, finding.metric):
        return False
    if seen.sort == "regime":
        return (
            abs(seen.began_at - finding.began_at) <= SAME_WITHIN or abs(seen.known_at - finding.known_at) <= SAME_WITHIN
        )
    # Incidents are the same when they overlap; one that a person closed is not opened again while it goes on.
    ended = seen.ended_at or datetime.max.replace(tzinfo=UTC)
    return (seen.began_at <= (finding.ended_at or ended) and finding.began_at <= ended) or (
        abs(seen.began_at - finding.began_at) <= 2 * MINUTES
    )


def _without_repeats(news: Sequence[Seen]) -> list[Seen]:
    """Of a regime change that shows as several kinds within a day, the first."""
    kept: list[Seen] = []
    for each in sorted(news, key=lambda one: one.known_at):
        if each.sort == "regime" and any(
            (other.component, other.metric, other.sort) == (each.component, each.metric, each.sort)
            and abs(other.known_at - each.known_at) <= SAME_WITHIN
            for other in kept
        ):
            continue
        kept.append(each)
    return kept


def _document(settings: Settings, seen: Seen, as_of: datetime, expected: Expected | None) -> dict[str, Any]:
    until = seen.ended_at or (seen.known_at if seen.sort == "incident" else as_of)
    spread = seen.kind == "spread"
    compared = (
        mix.compare(expected, seen.began_at, until, spread=spread)
        if expected is not None and seen.metric == METRIC
        else slices.compare(settings, seen.component, seen.metric, seen.began_at, until, spread=spread)
    )
    of_reward = expected is not None and seen.metric in ("reward", METRIC)
    parts = mix.split(expected, seen.began_at, until) if expected is not None and of_reward else None
    # Latency is averaged as a logarithm; people read milliseconds.
    shown = math.exp if seen.metric == "latency" else float
    return {
        "sort": seen.sort,
        "component": seen.component,
        "metric": seen.metric,
        "kind": seen.kind,
        "began_at": seen.began_at,
        "known_at": seen.known_at,
        "ended_at": seen.ended_at,
        "size": seen.size,
        "before": None if compared.before is None else shown(compared.before),
        "after": None if compared.after is None else shown(compared.after),
        "details": {
            "explanations": compared.document(),
            "coincides_with": next(_coinciding(settings, seen), None),
            **({} if parts is None else {"mix": parts.document()}),
        },
    }


def _coinciding(settings: Settings, seen: Seen) -> Iterator[str]:
    """The versions of the component's policies that came into force about when it began."""
    with transaction(settings) as connection:
        versions = [each for each in store.versions(connection) if each.component == seen.component]
    for version in versions:
        if version.activated_at is not None and abs(version.activated_at - seen.began_at) <= 3 * HOURS:
            yield version.ref
