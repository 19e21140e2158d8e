"""Whether a reward model is better than another, and the same as when it was registered.

A fit becomes the candidate. It becomes the champion when it saves squared error on the newest decisions, which neither
of the two has seen, and the interval of that is above 0; the first one, unless the means by arm are shown to be better.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.evaluation.decision_rows import read_rows
from cogorch_dagster.evaluation.predictive import FEWEST, Figure, saved
from cogorch_dagster.features.reward_fitting import Fitted, fit
from cogorch_dagster.features.reward_registry import (
    MODEL,
    Champion,
    champion,
    content_of,
    name_of,
    register_reward_model,
    rewards_of,
)
from cogorch_dagster.platform.code_version import code_version
from cogorch_dagster.registry import store as registry
from cogorch_dagster.registry.aliases import promote, set_alias
from cogorch_dagster.registry.artifacts import described
from cogorch_dagster.registry.records import Lineage, Registered
from cogorch_dagster.registry.tags import set_tag
from cogorch_dagster.settings import Settings

JUDGED = "judged"
Outcome = Literal["first", "better", "not shown better", "too few to compare", "worse than the means", "champion"]


@dataclass(frozen=True)
class Verdict:
    """What the newest decisions say of a fit.

    Attributes:
        over: the version that it was compared with; None where there was no champion: with the means by arm.
        saved: share of the other's squared error; None where they were not compared.
        decisions: that both were compared on.
    """

    outcome: Outcome
    over: str | None
    saved: Figure | None
    decisions: int

    @property
    def promoted(self) -> bool:
        return self.outcome in {"first", "better"}

    def __str__(self) -> str:
        if self.saved is None:
            return self.outcome
        over = "the means by arm" if self.over is None else self.over
        return f"{self.outcome}: saves {self.saved} of the squared error of {over} on {self.decisions} newest decisions"


@dataclass(frozen=True)
class Reproduction:
    """The metrics of a version, recorded and found again."""

    version: Registered
    recorded: Mapping[str, float]
    found: Mapping[str, float]
    same_inputs: bool

    @property
    def same(self) -> bool:
        return dict(self.recorded) == dict(self.found)


@dataclass(frozen=True)
class Beside:
    """Two versions on the same decisions, that neither has seen.

    Attributes:
        since, until: when the decisions began.
        saved: share of the squared error of the first that the second saves.
    """

    first: str
    second: str
    since: datetime
    until: datetime
    decisions: int
    saved: Figure


def register(settings: Settings, fitted: Fitted, run_id: str | None = None) -> tuple[Registered, Verdict]:
    """Register a fit, judge it against the champion, and let the aliases follow; once more changes nothing.

    A fit that only repeats a version is that version, see `repeated`.

    Args:
        run_id: of the run that made it, a tag: it does not make the same fit another version.
    """
    known = repeated(settings, fitted)
    made = register_reward_model(
        settings,
        fitted.rewards.policy,
        fitted.rewards.document(),
        params=fitted.params if known is None else known.params,
        metrics=fitted.metrics if known is None else known.metrics,
        lineage=_lineage(fitted) if known is None else known.lineage,
        tags={} if run_id is None else {"run": run_id},
    )
    if "champion" in made.aliases:
        return made, Verdict("champion", made.ref, None, 0)
    verdict = judged(settings, fitted, champion(settings, fitted.rewards.policy))
    named = promote(settings, made.name, made.version) if verdict.promoted else made
    if not verdict.promoted and "candidate" not in made.aliases:
        named = set_alias(settings, made.name, "candidate", made.version)
    tagged = set_tag(settings, named, JUDGED, str(verdict))
    return tagged, verdict


def repeated(settings: Settings, fitted: Fitted) -> Registered | None:
    """The newest version with the same model, parameters, figures and code as a fit, if there is one.

    Its hours may be others: where a router decided nothing new, later hours hold the same decisions.
    """
    model = described(content_of(fitted.rewards.document()))
    params, code = _without_hours(fitted.params), code_version()
    for each in registry.versions(settings, name_of(fitted.rewards.policy)):
        same = each.files == {MODEL: model} and each.metrics == fitted.metrics
        if same and _without_hours(each.params) == params and each.lineage.code_version == code:
            return each
    return None


def is_new(version: Registered, fitted: Fitted) -> bool:
    """Whether the version holds this very fit, not one of other hours that the fit repeats."""
    return (version.lineage.since, version.lineage.until) == (fitted.since, fitted.until)


def judged(settings: Settings, fitted: Fitted, other: Champion | None) -> Verdict:
    """Compare a fit with the champion on the newest decisions that neither has seen."""
    if other is None:
        if fitted.newest is None:
            return Verdict("too few to compare", None, None, len(fitted.held.reward))
        found, count = fitted.newest.saved, fitted.newest.decisions
        return Verdict("first" if found.high >= 0 else "worse than the means", None, found, count)
    held = fitted.held.after(_fitted_until(other.version))
    count = len(held.reward)
    if count < FEWEST:
        return Verdict("too few to compare", other.version.ref, None, count)
    values = other.rewards.values(settings, fitted.fitted_until, fitted.until).of(held.decision_id)
    theirs = other.rewards.model.expected_of(values, held.tenant, held.arm)
    found = saved(held.reward, held.predicted, theirs, held.weight)
    return Verdict("better" if found.low > 0 else "not shown better", other.version.ref, found, count)


def reproduce(settings: Settings, version: Registered) -> Reproduction:
    """Fit again to the hours that a version was fitted to, and judge again.

    Raises:
        InvalidInput: the version is no reward model, or its decisions or its feature set are gone.
    """
    rewards, lineage = rewards_of(settings, version), version.lineage
    if lineage.since is None or lineage.until is None:
        raise InvalidInput(f"{version.ref} does not say which hours it was fitted to; only such a version is repeated")
    delay = version.params["feedback_delay_s"]
    again = fit(
        settings,
        rewards.policy,
        lineage.since,
        lineage.until,
        features=rewards.features(settings),
        context=rewards.context,
        feedback_delay=None if delay is None else timedelta(seconds=delay),
    )
    return Reproduction(version, version.metrics, again.metrics, again.inputs == lineage.inputs)


def beside(settings: Settings, first: Registered, second: Registered, until: datetime) -> Beside:
    """Compare two versions of one policy on the decisions from the end of both fits until a moment.

    Raises:
        InvalidInput: versions of different policies, or fewer than 100 decisions since.
    """
    one, two = (rewards_of(settings, each) for each in (first, second))
    if one.policy != two.policy:
        raise InvalidInput(f"{first.ref} and {second.ref} are not of one policy; give two versions of one name")
    since = max(_fitted_until(each) for each in (first, second))
    rows = read_rows(settings, one.policy, since, until)
    if len(rows) < FEWEST:
        raise InvalidInput(
            f"{one.policy} made {len(rows)} scored decisions since {since.isoformat()}, when both were fitted; "
            f"at least {FEWEST} tell them apart, so send traffic"
        )
    mine, other = (
        each.model.expected_of(each.values(settings, since, until).of(rows.decision_id), rows.tenant, rows.first_arm)
        for each in (one, two)
    )
    found = saved(rows.reward, other, mine, rows.sample_weight)
    return Beside(first.ref, second.ref, since, until, len(rows), found)


def _lineage(fitted: Fitted) -> Lineage:
    return Lineage(code_version(), since=fitted.since, until=fitted.until, inputs=fitted.inputs)


def _without_hours(params: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in params.items() if name != "fitted_until"}


def _fitted_until(version: Registered) -> datetime:
    return datetime.fromisoformat(version.params["fitted_until"])
