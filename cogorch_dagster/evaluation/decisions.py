"""The decisions of one policy in a period, read from the lake, scored, and grouped into patterns.

Quality is judged after the fact, so the newest decisions have none yet and would look worse than they are. Where the
reward counts quality, only decisions older than the feedback delay are used: the time within which 99 % of the
judgements so far had arrived, counted back from the latest event known. Every decision left out is counted by reason.
An older success that was never judged counts as quality 0, as in every stored reward; how many those are is reported.
"""

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.evaluation import decision_query
from cogorch_dagster.evaluation.grouping import patterns_of, slicings_of
from cogorch_dagster.evaluation.patterns import Patterns
from cogorch_dagster.lake import catalogue, query
from cogorch_dagster.lake.catalogue import HourEntry
from cogorch_dagster.lake.hours import HOUR
from cogorch_dagster.observations.schema import FEEDBACK_SCHEMA, OBSERVATION_SCHEMA
from cogorch_dagster.platform.database import transaction
from cogorch_dagster.rewards.configuration import RewardConfig, RewardConfigs, active_configurations
from cogorch_dagster.settings import Settings

if TYPE_CHECKING:
    import duckdb

HALVES = 2
DELAY_QUANTILE = 0.99


@dataclass(frozen=True)
class Feedback:
    """What is known of the quality of the used decisions.

    `delay_s`: seconds after which a decision is taken as judged for good; None where the reward counts no quality.
    `successes` and `judged` count used decisions.
    """

    delay_s: float | None
    successes: int
    judged: int

    @property
    def share(self) -> float:
        """Share of the successes that were judged; 1 when there is none."""
        return self.judged / self.successes if self.successes else 1.0


@dataclass(frozen=True)
class OnPolicy:
    """The scored decisions that one version made, those without a logged propensity included."""

    version: str | None
    usable: int
    decisions: int
    value: float
    se: float


@dataclass(frozen=True)
class Decisions:
    """Decisions of a policy's versions in a period.

    Attributes:
        usable: how many can be evaluated: complete, scored, every propensity logged.
        left_out: the others by reason: pending, incomplete, cancelled, no_propensity, awaiting_feedback.
        first, last: when the first and the last usable one began; None when there is none.
        sources: usable decisions by the source of their observations.
        reward: the configuration that scored most of them.
        inputs: digest of every file and configuration that went in.
        context_key: the key of the observations' context by which the decisions can be cut, beside the tenant.
    """

    policy_id: str
    usable: int
    left_out: dict[str, int]
    versions: tuple[OnPolicy, ...]
    first: datetime | None
    last: datetime | None
    hours: tuple[datetime, ...]
    sources: dict[str, int]
    reward: RewardConfig | None
    feedback: Feedback
    inputs: str
    groups: tuple[tuple[Any, ...], ...]
    context_key: str | None = None

    def of_version(self, version: str) -> OnPolicy | None:
        return next((each for each in self.versions if each.version == version), None)

    @cached_property
    def arms(self) -> tuple[str, ...]:
        """Every arm that was available in some draw."""
        return tuple(sorted({arm for group in self.groups for arms in group[5] for arm in arms}))

    def patterns(self, half: int | None = None, arms: Sequence[str] = ()) -> Patterns:
        """The decisions, or one half of them, over the logged arms and `arms`, cut by tenant and context."""
        every_arm = tuple(sorted({*self.arms, *arms}))
        groups = [group for group in self.groups if half is None or group[0] == half]
        slicings = slicings_of([group[2] for group in groups], [group[13] for group in groups], self.context_key)
        return replace(patterns_of(groups, every_arm, set(self.arms)), slicings=slicings)


def read_decisions(
    settings: Settings,
    policy_id: str,
    since: datetime,
    until: datetime,
    *,
    seed: int = 0,
    feedback_delay: timedelta | None = None,
    tenants: Collection[str] = (),
    context_key: str | None = None,
) -> Decisions:
    """Read the decisions whose first attempt lies in [since, until).

    Args:
        tenants: told apart however few decisions they have, as are the 20 busiest; a policy with weights of their own
            for some tenants can be evaluated only where these are among them.
        context_key: key of the context by whose values the decisions can be cut, the 20 most frequent ones.
        seed: of the hash that splits the decisions into halves and folds.
        feedback_delay: how old a decision must be to be taken as judged for good; None: measured as described above.

    Raises:
        InvalidInput: an empty period, a negative delay, or a context key with a quotation mark.
    """
    with scored_decisions(
        settings, policy_id, since, until, seed=seed, feedback_delay=feedback_delay, tenants=tenants, key=context_key
    ) as found:
        duck, by_component, inputs, delay = found
        return collected(duck, policy_id, by_component, inputs, delay, context_key)


Scored = tuple["duckdb.DuckDBPyConnection", dict[tuple[str, str], RewardConfig], str, timedelta | None]


@contextmanager
def scored_decisions(
    settings: Settings,
    policy_id: str,
    since: datetime,
    until: datetime,
    *,
    seed: int = 0,
    feedback_delay: timedelta | None = None,
    tenants: Collection[str] = (),
    key: str | None = None,
) -> Iterator[Scored]:
    """A database with the tables `decisions` and, where there is a configuration, `scored` of `decision_query`.

    With it come the reward configurations by component, the digest of the inputs, and the feedback delay. Arguments
    and errors are those of `read_decisions`.
    """
    if key is not None and (not key or '"' in key):
        raise InvalidInput(f"{key!r} is no key of a context; give a name without quotation marks")
    if since >= until:
        raise InvalidInput(f"the period is empty: since {since.isoformat()} is not before until {until.isoformat()}")
    if feedback_delay is not None and feedback_delay < timedelta(0):
        raise InvalidInput(f"feedback_delay must not be negative, got {feedback_delay}")
    with transaction(settings, isolation="REPEATABLE READ") as connection:
        # An hour more on both sides: the other attempts of a decision may lie across the border.
        observations = catalogue.entries(connection, "observations", since - HOUR, until + HOUR)
        feedback = catalogue.entries(connection, "feedback", since - HOUR, until + HOUR)
        configs = active_configurations(connection)
    with query.connected(settings) as duck:
        duck.execute(
            decision_query.create_decisions(
                query.scan(settings, observations, OBSERVATION_SCHEMA),
                query.scan(settings, feedback, FEEDBACK_SCHEMA),
                policy_id,
                seed,
                key,
            )
        )
        by_component = _configurations(duck, configs)
        counts = any(config.params.quality_weight > 0 for config in by_component.values())
        delay = _delay(duck, feedback_delay) if counts else None
        _restrict(duck, since, until, delay)
        if by_component:
            duck.execute(decision_query.create_scored(by_component, tenants))
        inputs = _digest(observations, feedback, configs)
        yield duck, by_component, inputs, delay


def _configurations(duck: "duckdb.DuckDBPyConnection", configs: RewardConfigs) -> dict[tuple[str, str], RewardConfig]:
    rows = duck.execute("SELECT DISTINCT component, component_kind FROM decisions ORDER BY ALL").fetchall()
    return {(component, kind): configs.resolve(component, kind) for component, kind in rows}


def _delay(duck: "duckdb.DuckDBPyConnection", given: timedelta | None) -> timedelta:
    if given is not None:
        return given
    row = duck.execute(
        "SELECT quantile_cont(epoch(quality_at) - epoch(started_at), ?) FROM decisions WHERE quality_at IS NOT NULL",
        [DELAY_QUANTILE],
    ).fetchone()
    return timedelta(seconds=max(row[0], 0.0)) if row and row[0] is not None else timedelta(0)


def _restrict(duck: "duckdb.DuckDBPyConnection", since: datetime, until: datetime, delay: timedelta | None) -> None:
    row = duck.execute("SELECT max(greatest(started_at, quality_at)) FROM decisions").fetchone()
    settled = row[0] - delay if delay is not None and row and row[0] is not None else None
    for statement in decision_query.mark_awaiting(_sql(since), _sql(until), _sql(settled) if settled else None):
        duck.execute(statement)


def collected(
    duck: "duckdb.DuckDBPyConnection",
    policy_id: str,
    by_component: Mapping[tuple[str, str], RewardConfig],
    inputs: str,
    delay: timedelta | None,
    context_key: str | None = None,
) -> Decisions:
    """The decisions of the tables that `scored_decisions` has made."""
    nothing: list[tuple[Any, ...]] = []
    scored = bool(by_component)
    left_out = duck.execute(
        "SELECT problem, count(*) FROM decisions WHERE problem IS NOT NULL GROUP BY problem ORDER BY problem"
    ).fetchall()
    first, last, usable, successes, judged = _one(
        duck,
        """SELECT min(started_at), max(started_at), count(*), count(*) FILTER (outcome = 'success'),
                  count(*) FILTER (outcome = 'success' AND quality IS NOT NULL)
           FROM decisions WHERE problem IS NULL""",
    )
    hours = duck.execute(
        "SELECT DISTINCT date_trunc('hour', started_at) FROM decisions WHERE problem IS NULL ORDER BY ALL"
    ).fetchall()
    sources = duck.execute(
        "SELECT source, count(*) FROM decisions WHERE problem IS NULL GROUP BY source ORDER BY source"
    ).fetchall()
    return Decisions(
        policy_id=policy_id,
        usable=usable,
        left_out=dict(left_out),
        versions=tuple(map(_on_policy, duck.execute(decision_query.VERSIONS).fetchall() if scored else nothing)),
        first=first and first.astimezone(UTC),
        last=last and last.astimezone(UTC),
        hours=tuple(row[0].astimezone(UTC) for row in hours),
        sources=dict(sources),
        reward=_most_used(duck, by_component) if usable else None,
        feedback=Feedback(None if delay is None else delay.total_seconds(), successes, judged),
        inputs=inputs,
        groups=tuple(duck.execute(decision_query.PATTERNS).fetchall() if scored else nothing),
        context_key=context_key,
    )


def _most_used(
    duck: "duckdb.DuckDBPyConnection", by_component: Mapping[tuple[str, str], RewardConfig]
) -> RewardConfig | None:
    component, kind, _ = _one(
        duck,
        """SELECT component, component_kind, count(*) AS n FROM decisions WHERE problem IS NULL
           GROUP BY component, component_kind ORDER BY n DESC, component LIMIT 1""",
    )
    return by_component[(component, kind)]


def _on_policy(row: tuple[Any, ...]) -> OnPolicy:
    version, usable, n, s, sy, _, ss, ssy, ssyy = row
    value = sy / s
    squares = max(ssyy - 2 * value * ssy + value * value * ss, 0.0) / (s * s)
    se = float(np.sqrt(squares * n / (n - 1))) if n > 1 else float("inf")
    return OnPolicy(version, usable, n, value, se)


def _digest(observations: Sequence[HourEntry], feedback: Sequence[HourEntry], configs: RewardConfigs) -> str:
    parts = [[entry.dataset, entry.hour.isoformat(), entry.digest] for entry in (*observations, *feedback)]
    return hashlib.sha256(json.dumps([parts, configs.digest]).encode()).hexdigest()


def _one(duck: "duckdb.DuckDBPyConnection", sql: str) -> tuple[Any, ...]:
    row = duck.execute(sql).fetchone()
    assert row is not None  # noqa: S101  an aggregate without GROUP BY has exactly one row
    return tuple(row)


def _sql(moment: datetime) -> str:
    return f"TIMESTAMPTZ {query.quote(moment.isoformat())}"
