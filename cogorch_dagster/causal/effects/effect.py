"""The effect of one variable on another: identify, estimate, try to overturn, and say what may be claimed."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import get_args

from cogorch_dagster.causal.data.dataset import CausalDataset
from cogorch_dagster.causal.effects import query
from cogorch_dagster.causal.effects.answer import Effect, EffectRange
from cogorch_dagster.causal.effects.choice import How, Method, chosen
from cogorch_dagster.causal.effects.columns import columns
from cogorch_dagster.causal.effects.estimation.doubly_robust import Target
from cogorch_dagster.causal.effects.identification.identify import identify
from cogorch_dagster.causal.effects.judgement import judged_effect, no_effect
from cogorch_dagster.causal.effects.query import Estimand, IdentifiedRange, NotIdentified
from cogorch_dagster.causal.graphs.graph import Graph
from cogorch_dagster.errors import InvalidInput, Refused
from cogorch_dagster.platform.threads import on_one_thread


@on_one_thread("scipy.linalg")
def effect(
    data: CausalDataset,
    graph: Graph,
    treatment: str,
    outcome: str,
    *,
    method: Method = "auto",
    effect: query.Effect = "total",
    mediators: Sequence[str] = (),
    selected: Sequence[str] = (),
    latents: Iterable[Iterable[str]] = (),
    target: Target = "ATE",
    simulations: int = 100,
    seed: int = 0,
) -> Effect | EffectRange | NotIdentified:
    """Everything about one effect.

    Args:
        graph: variables without data are taken as hidden.
        method: of back-door estimands. auto: least squares, or doubly robust where curves and products of the controls
            explain more (F test, p below .001) or the treatment is binary and its effect differs with them.
        effect, mediators, selected, latents: as `identify` takes them.
        target: of a binary treatment, the average over all rows or over the treated; ATT is doubly robust or matched.
        simulations: of each refuter, 20 and up; 0: no refuters, and hence no causal claim.
        seed: of everything random.

    Raises:
        InvalidInput: what `identify` does not take, or rows that an estimator cannot use.
        Refused: `no_estimator`, the effect is identified by a formula that has none here.
    """
    if method not in get_args(Method) or target not in get_args(Target):
        raise InvalidInput(f"method {method!r} or target {target!r} is unknown; methods: {', '.join(get_args(Method))}")
    hidden = [name for name in graph.names if name not in data.names]
    answer = identify(
        graph,
        treatment,
        outcome,
        selected=selected,
        effect=effect,
        mediators=mediators,
        unobserved=hidden,
        latents=latents,
    )
    how = How(method, target, simulations, seed)
    if isinstance(answer, NotIdentified):
        return answer
    if isinstance(answer, IdentifiedRange):
        return _range(data, answer, how)
    return estimated(data, answer, method=method, target=target, simulations=simulations, seed=seed)


def estimated(
    data: CausalDataset,
    estimand: Estimand,
    *,
    method: Method = "auto",
    target: Target = "ATE",
    simulations: int = 100,
    seed: int = 0,
) -> Effect:
    """The effect of one estimand; as `effect` where the graph has been read already.

    Raises:
        InvalidInput, Refused: as `effect`.
    """
    if estimand.kind == "zero":
        return no_effect(data, estimand)
    if estimand.kind == "general":
        raise Refused(
            "no_estimator",
            f"the effect of {estimand.treatment} on {estimand.outcome} is identified by {estimand.formula}, for which "
            "there is no estimator; measure a set that blocks all back doors",
        )
    how = How(method, target, simulations, seed)
    taken = columns(data, estimand)
    found = chosen(data, estimand, taken, how)
    if taken.dropped:
        note = f"{taken.dropped} rows with a missing value were left out"
        kept = found.fit.estimate
        found = replace(found, fit=replace(found.fit, estimate=replace(kept, notes=(*kept.notes, note))))
    return judged_effect(data, estimand, taken, found, how)


def _range(data: CausalDataset, answer: IdentifiedRange, how: How) -> EffectRange:
    effects = tuple(
        estimated(data, each, method=how.method, target=how.target, simulations=how.simulations, seed=how.seed)
        for each in answer.estimands
    )
    interval = (
        min(each.estimate.interval[0] for each in effects),
        max(each.estimate.interval[1] for each in effects),
    )
    values = [each.estimate.value for each in effects]
    unit = effects[0].unit
    sentences = (
        f"The graph leaves {len(effects)} answers, from {min(values):.4g} to {max(values):.4g} {unit}".rstrip() + ".",
        answer.detail,
        *(each.sentences[0] for each in effects),
    )
    return EffectRange(answer.treatment, answer.outcome, unit, effects, interval, answer.edges, sentences)
