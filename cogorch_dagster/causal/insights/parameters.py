"""What a change of a policy's parameters should do to the reward by the causal graph of its component.

It goes into the evidence of a draft beside what the log of decisions says; where the two disagree, one of them is wrong
about the fleet, and whoever decides should know.
"""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from cogorch_dagster.causal.data.lake.variables import KEY, PARAMETER, SHARE
from cogorch_dagster.causal.effects.query import NotIdentified
from cogorch_dagster.causal.models.answer import Answer
from cogorch_dagster.causal.versions import store
from cogorch_dagster.causal.versions.answering import what_if
from cogorch_dagster.causal.versions.version import CausalVersion
from cogorch_dagster.errors import InvalidInput, Refused
from cogorch_dagster.platform.database import transaction
from cogorch_dagster.policies.diff import diff
from cogorch_dagster.settings import Settings

OUTCOME = "reward"
_WEIGHTS = "modelWeights."
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_Z = 1.96
_NOT_THERE = "no variable of the graph stands for it: it did not vary, or it follows from others"


@dataclass(frozen=True)
class ParameterEffect:
    """One changed parameter.

    Attributes:
        variable: of the graph that stands for it, None where there is none.
        before, after: of the parameter.
        change, interval: of the mean reward by this parameter alone, None where the graph does not say.
        said: why it does not, or what to be careful with; "" otherwise.
    """

    parameter: str
    variable: str | None
    before: float | None
    after: float | None
    change: float | None
    interval: tuple[float, float] | None
    said: str = ""


def causal_evidence(
    settings: Settings,
    component: str | None,
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    evidence: Mapping[str, Any],
) -> dict[str, Any] | None:
    """What the latest graph of a component says of changed parameters, as a part of an evidence document.

    Args:
        before, after: the parameters of the version in force and of the draft.
        evidence: of the draft; its `estimate` and `ci95`, where it has them, are what the graph is held against.

    Returns:
        None where the component has no graph.
    """
    if component is None:
        return None
    try:
        with transaction(settings) as connection:
            version = store.latest(connection, component)
        return None if version is None else document_of(version, before, after, evidence)
    except (InvalidInput, Refused) as refusal:
        # The graph approves nothing, so it stops nothing either.
        agreement = {"agrees": None, "said": f"the graph could not be asked: {refusal}"}
        return {"version": None, "parameters": [], "total": None, "warnings": [], "agreement": agreement}


def document_of(
    version: CausalVersion, before: Mapping[str, Any], after: Mapping[str, Any], evidence: Mapping[str, Any]
) -> dict[str, Any]:
    """The same by a given version."""
    effects = parameter_effects(version, before, after)
    total = _total(version, effects)
    return {
        "version": version.digest,
        "since": None if version.since is None else version.since.isoformat(),
        "until": None if version.until is None else version.until.isoformat(),
        "rows": version.rows,
        "outcome": OUTCOME,
        "parameters": [asdict(each) for each in effects],
        "total": None if total is None else {"estimate": total.change, "ci95": list(total.interval)},
        "warnings": [] if total is None else list(total.warnings),
        "agreement": _agreement(total, evidence),
    }


def parameter_effects(
    version: CausalVersion, before: Mapping[str, Any], after: Mapping[str, Any]
) -> tuple[ParameterEffect, ...]:
    """Every numeric parameter that differs, by its path, such as `modelWeights.large`."""
    found = []
    for change in diff(before, after):
        old, new = _number(change.before), _number(change.after)
        if old is None and new is None:
            continue
        if change.path.startswith(_WEIGHTS):
            # An arm that a document does not name has no weight.
            old, new = old or 0.0, new or 0.0
        variable = variable_of(version, change.path)
        if variable is None or old is None or new is None:
            said = _NOT_THERE if variable is None else "it was added or taken out, so there is nothing to compare with"
            found.append(ParameterEffect(change.path, None, old, new, None, None, said))
            continue
        answer = _answer(version, {variable: new - old})
        if not isinstance(answer, Answer):
            found.append(ParameterEffect(change.path, variable, old, new, None, None, answer))
            continue
        said = "; ".join(answer.warnings)
        found.append(ParameterEffect(change.path, variable, old, new, answer.change, answer.interval, said))
    return tuple(found)


def variable_of(version: CausalVersion, path: str) -> str | None:
    """The variable that stands for a parameter: its own, the share of its arm, or the key of that name."""
    last = _CAMEL.sub("_", path.rpartition(".")[2]).lower()
    tried = [
        PARAMETER + path,
        *([SHARE + path.removeprefix(_WEIGHTS)] if path.startswith(_WEIGHTS) else []),
        KEY + last,
    ]
    return next((name for name in tried if name in version.graph.names), None)


def _answer(version: CausalVersion, shift: Mapping[str, float]) -> Answer | str:
    """How the reward changes, or why that is not told."""
    if OUTCOME not in version.graph.names:
        return "the graph has no reward"
    (found,) = what_if(version, shift=shift, outcomes=[OUTCOME])
    return found.detail if isinstance(found, NotIdentified) else found


def _total(version: CausalVersion, effects: tuple[ParameterEffect, ...]) -> Answer | None:
    """All changes at once; None where the graph tells nothing of one of those that it has a variable for."""
    told = [each for each in effects if each.variable is not None]
    if not told or any(each.change is None for each in told):
        return None
    shift: dict[str, float] = {}
    for each in told:
        shift[str(each.variable)] = shift.get(str(each.variable), 0.0) + (each.after or 0.0) - (each.before or 0.0)
    found = _answer(version, shift)
    return found if isinstance(found, Answer) else None


def _agreement(total: Answer | None, evidence: Mapping[str, Any]) -> dict[str, Any]:
    """Whether graph and log agree: the difference of the two within its error, as of independent estimates."""
    estimate, interval = evidence.get("estimate"), evidence.get("ci95")
    if total is None:
        return {"agrees": None, "said": "the graph does not say what the change does to the reward"}
    by_graph = f"by the graph {total.change:+.4f} ({total.interval[0]:+.4f} to {total.interval[1]:+.4f})"
    if estimate is None or not interval:
        return {"agrees": None, "said": f"{by_graph}; the log does not say"}
    errors = [(high - low) / (2 * _Z) for low, high in (total.interval, interval)]
    apart = abs(total.change - estimate)
    agrees = bool(apart <= _Z * (errors[0] ** 2 + errors[1] ** 2) ** 0.5)
    by_log = f"by the log {estimate:+.4f} ({interval[0]:+.4f} to {interval[1]:+.4f})"
    verdict = "they agree" if agrees else "THEY DISAGREE: look at both before deciding"
    return {"agrees": agrees, "said": f"{by_graph}, {by_log}; {verdict}"}


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
