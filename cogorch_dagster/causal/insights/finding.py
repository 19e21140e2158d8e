"""From the effects of a version to insights: sizes, paths, what would overturn them, what to do, what comes first."""

from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Any

import numpy as np

from cogorch_dagster.causal.effects.query import NotIdentified
from cogorch_dagster.causal.insights import sentences
from cogorch_dagster.causal.insights.direction import Better, better_of
from cogorch_dagster.causal.insights.insight import Insight, Path, Recommendation
from cogorch_dagster.causal.models.bottleneck import LeverGain, bottlenecks
from cogorch_dagster.causal.models.paths import decomposed
from cogorch_dagster.causal.versions.version import CausalVersion

# The paths that are told, the largest first; one that adds less than this share of the effect is not worth it.
MOST_PATHS, LEAST_SHARE = 3, 0.05
_CLAIMS = {"causal": 0, "weak": 1, "associational": 2}
# An edge that points this way in a smaller share of the resamples is named.
_SURE = 0.9
_WEIGHED = "reward"
_ROUND = (1.0, 2.0, 5.0, 10.0)


def insights_of(
    version: CausalVersion,
    effects: Iterable[Mapping[str, Any]],
    parameters: Mapping[str, tuple[str, str]] | None = None,
) -> list[Insight]:
    """Insights of a version, as far as an effect is shown.

    Causal ones first, of those the ones about which something can be done, then by how large the effect is at least.

    Args:
        effects: documents as `effect_store` keeps them.
        parameters: variable: (policy, parameter) that sets it.
    """
    levers = _levers(version)
    found = [
        _insight(version, each, _agreed(levers, each["treatment"], each["outcome"]), parameters or {})
        for each in effects
        if _worth_telling(each)
    ]
    found.sort(key=_rank)
    return found


def _rank(insight: Insight) -> tuple[int, bool, float, str, str]:
    return (
        _CLAIMS[insight.claim],
        insight.recommendation is None,
        -insight.score,
        insight.cause,
        insight.outcome,
    )


def _worth_telling(document: Mapping[str, Any]) -> bool:
    if document["answer"] != "effect" or document["estimand"]["kind"] == "zero":
        return False
    low, high = document["estimate"]["interval"]
    return low is not None and high is not None and (low > 0 or high < 0)


def _insight(
    version: CausalVersion,
    document: Mapping[str, Any],
    lever: LeverGain | None,
    parameters: Mapping[str, tuple[str, str]],
) -> Insight:
    cause, outcome, estimate = document["treatment"], document["outcome"], document["estimate"]
    of_cause, of_outcome = (_deviation(version, name) for name in (cause, outcome))
    step = _step(of_cause) if estimate["target"] not in {"ATE", "ATT"} else 1.0
    low, high = estimate["interval"]
    ratio = of_cause / of_outcome if of_outcome > 0 else 0.0
    sensitivity = document["sensitivity"]
    paths = _paths(version, cause, outcome)
    found = Insight(
        scope=version.scope,
        version=version.digest,
        cause=cause,
        cause_unit=version.unit(cause),
        outcome=outcome,
        outcome_unit=version.unit(outcome),
        step=step,
        effect=estimate["value"] * step,
        interval=(low * step, high * step),
        standardised=estimate["value"] * ratio,
        score=min(abs(low), abs(high)) * ratio,
        claim=document["claim"],
        reasons=tuple(document["reasons"]),
        adjusted_for=tuple(document["estimand"]["adjustment"]),
        identified_by=document["estimand"]["kind"],
        paths=paths,
        doubted=_doubted(version, paths),
        overturned_by="" if sensitivity is None else sensitivity["sentence"],
        recommendation=_recommendation(document, lever, parameters),
    )
    return sentences.told(found)


def _deviation(version: CausalVersion, name: str) -> float:
    """Standard deviation of a variable in the version's data."""
    column = version.model.column(name)
    return float(np.sqrt(max(version.model.support.covariance[column, column], 0.0)))


def _step(deviation: float) -> float:
    """A round number of 1, 2 or 5 and zeros near a standard deviation."""
    if deviation <= 0:
        return 1.0
    scale = 10.0 ** np.floor(np.log10(deviation))
    return float(f"{min(_ROUND, key=lambda each: abs(np.log(each * scale / deviation))) * scale:.1g}")


def _paths(version: CausalVersion, cause: str, outcome: str) -> tuple[Path, ...]:
    """The largest paths of the model, per unit of the cause."""
    found = decomposed(version.model, cause, outcome, most=MOST_PATHS)
    if isinstance(found, NotIdentified):
        return ()
    coefficients = {(each.cause, each.effect): each.coefficient.value for each in found.edges}
    total = max(abs(found.total.value), 1e-300)
    units = {name: version.unit(owner) for name, owner in _owners(version).items()}
    return tuple(
        Path(
            text=" -> ".join(each.path),
            contribution=each.contribution.value,
            edges=tuple(
                (a, b, coefficients[a, b], f"{units[b] or '1'} per {units[a] or '1'}") for a, b in pairwise(each.path)
            ),
        )
        for each in found.paths
        if abs(each.contribution.value) >= LEAST_SHARE * total
    )


def _owners(version: CausalVersion) -> dict[str, str]:
    """The variable of each column of the model; a discrete one has a column for each level but the first."""
    columns = version.model.columns
    return {name: version.model.variables[owner].name for name, owner in zip(columns.names, columns.owner, strict=True)}


def _doubted(version: CausalVersion, paths: tuple[Path, ...]) -> tuple[str, ...]:
    """Edges of the paths that the bootstrap directs so in less than nine of ten resamples."""
    owner, index, directed = _owners(version), version.graph.index, version.probabilities.directed
    told = dict.fromkeys((owner[a], owner[b]) for path in paths for a, b, _, _ in path.edges)
    sure = {(a, b): float(directed[index(a), index(b)]) for a, b in told}
    return tuple(f"{a} -> {b} ({share:.0%})" for (a, b), share in sure.items() if share < _SURE)


def _levers(version: CausalVersion) -> dict[tuple[str, str], LeverGain]:
    """By (lever, outcome) what setting the lever to the better end of what was observed would bring."""
    found: dict[tuple[str, str], LeverGain] = {}
    for variable in version.variables:
        better: Better | None = better_of(variable.name)
        if better is None or variable.role != "outcome":
            continue
        for lever in bottlenecks(version.model, variable.name, better=better).levers:
            found[lever.variable, variable.name] = lever
    return found


def _agreed(levers: Mapping[tuple[str, str], LeverGain], cause: str, outcome: str) -> LeverGain | None:
    """The lever, unless the reward, which weighs all outcomes, asks to move it the other way."""
    lever, weighed = levers.get((cause, outcome)), levers.get((cause, _WEIGHED))
    if lever is None or weighed is None or outcome == _WEIGHED:
        return lever
    return lever if (lever.target - lever.present) * (weighed.target - weighed.present) > 0 else None


def _recommendation(
    document: Mapping[str, Any],
    lever: LeverGain | None,
    parameters: Mapping[str, tuple[str, str]],
) -> Recommendation | None:
    """What to set; None for what cannot be set, where more is not claimed, or where the gain is in doubt."""
    outcome = document["outcome"]
    if lever is None or document["claim"] != "causal":
        return None
    low, high = lever.answer.interval
    gains = high < 0 if better_of(outcome) == "lower" else low > 0
    if not gains:
        return None
    policy, parameter = parameters.get(lever.variable, (None, None))
    return Recommendation(
        variable=lever.variable,
        unit=lever.unit,
        present=lever.present,
        target=lever.target,
        outcome=outcome,
        change=lever.answer.change,
        interval=lever.answer.interval,
        parameter=parameter,
        policy=policy,
        warnings=lever.answer.warnings,
    )
