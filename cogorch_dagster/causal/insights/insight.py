"""An insight: one effect that is worth knowing, with all that one needs to believe it or not."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

from cogorch_dagster.policies.document import as_document, digest

Interval = tuple[float, float]


@dataclass(frozen=True)
class Path:
    """One way from cause to outcome, such as `replicas -> queue_ms -> latency_ms`, and what it adds to the effect.

    Attributes:
        edges: (cause, effect, coefficient, unit) of each edge on the way.
    """

    text: str
    contribution: float
    edges: tuple[tuple[str, str, float, str], ...]


@dataclass(frozen=True)
class Recommendation:
    """What to set, within what was observed, and what it should bring.

    Attributes:
        parameter: of the policy document that sets the variable, None where no policy does.
        policy: id of that policy.
        present, target: in the variable's unit; the present mean and the better end of the middle nine tenths.
        change, interval: of the outcome's mean.
    """

    variable: str
    unit: str
    present: float
    target: float
    outcome: str
    change: float
    interval: Interval
    parameter: str | None
    policy: str | None
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class SimilarCase:
    """An insight of before that is like this one.

    Attributes:
        digest: of that insight.
        scope: whose it was.
        at: when it was found, ISO 8601.
        ratio: its effect as a multiple of this one, in standard deviations.
        similarity: 0 to 1.
    """

    digest: str
    scope: str
    at: str
    ratio: float
    similarity: float


@dataclass(frozen=True)
class Insight:
    """One effect of a version.

    Attributes:
        version: digest of the graph that it follows from.
        step: of the cause that the effect is told for, in its unit.
        effect, interval: of the outcome for that step, 95 %.
        standardised: standard deviations of the outcome for one of the cause.
        score: the same at the end of the interval nearest to 0; insights are ranked by it.
        claim: `causal`, or a weaker word.
        reasons: why no more is claimed.
        adjusted_for: the adjustment set.
        identified_by: such as `backdoor`.
        doubted: edges of the paths whose direction is not sure, with its probability.
        overturned_by: how strong a hidden cause would have to be, in a sentence.
        sentence: all of it for people.
    """

    scope: str
    version: str
    cause: str
    cause_unit: str
    outcome: str
    outcome_unit: str
    step: float
    effect: float
    interval: Interval
    standardised: float
    score: float
    claim: str
    reasons: tuple[str, ...]
    adjusted_for: tuple[str, ...]
    identified_by: str
    paths: tuple[Path, ...]
    doubted: tuple[str, ...]
    overturned_by: str
    recommendation: Recommendation | None
    similar: tuple[SimilarCase, ...] = ()
    sentence: str = field(default="")

    def document(self) -> dict[str, Any]:
        """Plain JSON."""
        return as_document(asdict(self))

    @cached_property
    def digest(self) -> str:
        """`sha256:` and 64 hexadecimal digits of the document."""
        return digest(self.document())

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> "Insight":
        """The insight of a `document`."""
        held = dict(document)
        paths = tuple(
            Path(each["text"], each["contribution"], tuple((a, b, c, u) for a, b, c, u in each["edges"]))
            for each in held.pop("paths")
        )
        given = held.pop("recommendation")
        recommendation = None
        if given is not None:
            bounds = (given["interval"][0], given["interval"][1])
            recommendation = Recommendation(**{**given, "interval": bounds, "warnings": tuple(given["warnings"])})
        return cls(
            **{
                **held,
                "interval": (held["interval"][0], held["interval"][1]),
                "reasons": tuple(held["reasons"]),
                "adjusted_for": tuple(held["adjusted_for"]),
                "paths": paths,
                "doubted": tuple(held["doubted"]),
                "recommendation": recommendation,
                "similar": tuple(SimilarCase(**each) for each in held["similar"]),
            }
        )
