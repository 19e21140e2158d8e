"""How causal graphs and answers look: as JSON, as tables, as sentences."""

import signal
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import typer

from cogorch_dagster.cli.output import fields, say, table, text

if TYPE_CHECKING:
    from cogorch_dagster.causal.effects.answer import Effect, EffectRange
    from cogorch_dagster.causal.effects.audit import Audit
    from cogorch_dagster.causal.effects.estimation.estimate import Estimate as EffectEstimate
    from cogorch_dagster.causal.effects.query import NotIdentified
    from cogorch_dagster.causal.effects.slices import Sliced
    from cogorch_dagster.causal.insights.insight import Insight
    from cogorch_dagster.causal.models.answer import Answer, Estimate
    from cogorch_dagster.causal.models.attribution import Attribution, Part
    from cogorch_dagster.causal.models.bottleneck import Bottlenecks
    from cogorch_dagster.causal.versions.building import Built
    from cogorch_dagster.causal.versions.comparison import Comparison
    from cogorch_dagster.causal.versions.store import Listed
    from cogorch_dagster.causal.versions.version import CausalVersion

_EVERY = 20
# Slices whose effects differ with a smaller p are said to differ.
_ALIKE = 0.05


class Progress:
    """How much is done, on a terminal's stderr; between two steps an interrupt is obeyed.

    An interrupt that arrives while numba looks at the types of arguments is lost there, so it is noted here as well.
    """

    def __init__(self, scope: str, what: str = "resample") -> None:
        self.scope, self.what, self.shown, self.interrupted = scope, what, False, False

    def __enter__(self) -> Self:
        self._before = signal.signal(signal.SIGINT, self._interrupt)
        return self

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGINT, self._before)
        if self.shown:
            sys.stderr.write("\n")

    def __call__(self, done: int, of: int) -> None:
        if self.interrupted:
            raise KeyboardInterrupt
        if sys.stderr.isatty() and (of <= _EVERY or done % _EVERY == 0 or done == of):
            sys.stderr.write(f"\r{self.scope}: {self.what} {done} of {of}")
            sys.stderr.flush()
            self.shown = True

    def _interrupt(self, *_: object) -> None:
        self.interrupted = True
        raise KeyboardInterrupt


def built_document(built: "Built") -> dict[str, Any]:
    """What `discover` found, for JSON."""
    return {**version_document(built.version), "added": built.added, "against": built.comparison}


def version_document(version: "CausalVersion") -> dict[str, Any]:
    """A version for JSON; its edges with probability and strength."""
    from cogorch_dagster.causal.versions.edges import edges

    return {"digest": version.digest, **version.document(), "edges": edges(version)}


def show_built(found: "Sequence[Built]") -> None:
    """Print each version that was found."""
    for number, built in enumerate(found):
        if number:
            print()
        if not built.added:
            say(f"{built.version.scope}: the same version was there already")
        show_version(built.version, built.comparison)


def show_version(version: "CausalVersion", comparison: "Comparison | None") -> None:
    """Print a version: what it is, its edges, what it left out, what changed."""
    from cogorch_dagster.causal.versions.edges import edges

    period = None if version.since is None else f"{text(version.since)} to {text(version.until)}"
    aside = [f"{each.name} {each.reason}" for each in version.set_aside]
    fields(
        [
            ("version", version.digest),
            ("of", version.scope),
            *([("period", period)] if period else []),
            ("rows", f"{version.rows:,}, worth {version.effective_rows:,.0f} independent ones"),
            ("algorithm", f"{version.algorithm}, seed {version.seed}"),
            *[("note", each) for each in version.notes],
            *[("set aside", each) for each in aside],
            *([("against the one before", comparison.verdict)] if comparison else []),
        ]
    )
    print()
    rows = [
        (each.text, each.joined, each.this_way, each.coefficient, each.unit, each.standardised)
        for each in edges(version)
    ]
    numbers = ("joined", "this way", "coefficient", "standardised")
    table(("edge", "joined", "this way", "coefficient", "unit", "standardised"), rows, right=numbers)
    for each in comparison.changes if comparison else ():
        sure = ", for sure" if each.sure else ""
        say(f"changed: {each.before or 'no edge'} to {each.after or 'no edge'} between {each.a} and {each.b}{sure}")


def show_listing(rows: "Sequence[Listed]") -> None:
    """Print versions, the newest first; those that answer now are marked."""
    if not rows:
        say("No graph was found yet; run `cogorch causal discover`.")
    table(
        ("found at", "of", "version", ""),
        [(each.found_at, each.scope, each.version, "latest" if each.latest else None) for each in rows],
    )


def answer_document(answer: "Answer | NotIdentified") -> dict[str, Any]:
    """An answer for JSON; one that is not identified says why."""
    from dataclasses import asdict

    from cogorch_dagster.causal.effects.query import NotIdentified

    if isinstance(answer, NotIdentified):
        return {"variable": answer.outcome, "not_identified": asdict(answer)}
    # Where several graphs fit the data alike the range is the answer, and no single number is.
    return answer.document() if _one(answer) else {**answer.document(), "after": None, "change": None}


def show_answers(version: "CausalVersion", answers: "Sequence[Answer | NotIdentified]", level: float) -> None:
    """Print how outcomes change, what is not identified, and what to be careful with."""
    from cogorch_dagster.causal.effects.query import NotIdentified

    told = [each for each in answers if not isinstance(each, NotIdentified)]
    doubtful = [each for each in answers if isinstance(each, NotIdentified)]
    # Where graphs that the data cannot tell apart give other answers, no single one is the answer.
    rows = []
    for each in told:
        moved = (each.after, each.change) if _one(each) else (None, None)
        rows.append((each.variable, each.unit, each.before, *moved, between(each.interval)))
    columns = ("before", "after", "change", f"{level:.0%} interval")
    if rows:
        table(("outcome", "unit", *columns), rows, right=columns)
    for each in told:
        if not _one(each):
            say(
                f"{each.variable}: from {between(each.range)}, by which of several graphs that fit the data alike holds"
            )
    for warning in dict.fromkeys(warning for each in told for warning in each.warnings):
        say(f"careful: {warning}")
    for refused in doubtful:
        say(f"not identified: {refused.outcome}: {refused.detail}. To get there: {refused.remedy}")
    say(f"by version {version.digest[:19]} of {version.scope}")


def _one(answer: "Answer") -> bool:
    return answer.range[0] == answer.range[1]


def exit_if_unidentified(answers: "Sequence[Answer | NotIdentified]") -> None:
    """End with exit code 3 when there is an answer that is not identified."""
    from cogorch_dagster.causal.effects.query import NotIdentified

    if any(isinstance(each, NotIdentified) for each in answers):
        raise typer.Exit(3)


def show_effect(
    answer: "Effect | EffectRange | NotIdentified", audit: "Audit | None", parts: "Sliced | None" = None
) -> None:
    """Print an effect in sentences with the numbers behind it."""
    from cogorch_dagster.causal.effects.answer import Effect, EffectRange

    if isinstance(answer, EffectRange):
        for sentence in answer.sentences:
            print(sentence)
        print()
        rows = [_effect_row(each) for each in answer.effects]
        table(("adjusted for", "effect", "95 % interval", "claim"), rows, right=("effect", "95 % interval"))
    elif isinstance(answer, Effect):
        for sentence in answer.sentences:
            print(sentence)
        print()
        estimates = [(each.method, each.value, between(each.interval), each.p) for each in _estimates(answer)]
        numbers = ("effect", "95 % interval", "p")
        table((f"estimator, {answer.unit}" if answer.unit else "estimator", *numbers), estimates, right=numbers)
    else:
        print(f"The effect of {answer.treatment} on {answer.outcome} is not identified: {answer.detail}")
        print(f"To get there: {answer.remedy}")
        if answer.proven:
            say("No method can do better: two models with this graph agree on the data and differ in the effect.")
    if parts is not None:
        _show_slices(parts)
    if audit is not None:
        say(f"dowhy {'agrees' if audit.agrees else 'DISAGREES'}: {audit.detail}")


def _show_slices(parts: "Sliced") -> None:
    print()
    rows = [
        (name, each.share, each.estimate and each.estimate.value, each.simultaneous and between(each.simultaneous))
        for name, each in zip(parts.names, parts.effects.slices, strict=True)
    ]
    numbers = ("share of rows", "effect", "95 % interval for all at once")
    table((f"by {parts.by}", *numbers), rows, right=numbers)
    same = "may be the same in all" if parts.effects.homogeneity > _ALIKE else "differs between them"
    print(f"The effect {same} (p {parts.effects.homogeneity:.3g}).")


def _estimates(answer: "Effect") -> "tuple[EffectEstimate, ...]":
    return (answer.estimate, *answer.cross_checks)


def _effect_row(each: "Effect") -> tuple[object, ...]:
    held = ", ".join(each.estimand.adjustment) or "nothing"
    return held, each.estimate.value, between(each.estimate.interval), each.claim


def show_insights(version: "CausalVersion", found: "Sequence[Insight]") -> None:
    """Print insights, one paragraph each."""
    for number, each in enumerate(found, start=1):
        print(f"{number}. {each.sentence}")
        for case in each.similar:
            same = f"{case.ratio:.2g} times the size" if abs(case.ratio - 1) > 0.1 else "of the same size"
            print(f"   Seen before: {case.scope}, {case.at[:10]}, {same} ({case.digest[:19]}).")
        print()
    if not found and not any(each.role == "outcome" for each in version.variables):
        say("No variable is known as an outcome, as in a file; ask for one with `cogorch causal effect CAUSE OUTCOME`.")
    elif not found:
        say("No effect stands out; `cogorch causal graph` shows what is connected at all.")
    say(f"by version {version.digest[:19]} of {version.scope}")


def show_attribution(found: "Attribution", level: float) -> None:
    """Print what each mechanism adds to a change."""
    unit = f" {found.unit}" if found.unit else ""
    print(
        f"{found.outcome}: {text(found.before)} to {text(found.after)}{unit}, "
        f"a change of {found.shift.value:+.4g} ({level:.0%}: {between(found.shift)})"
    )
    columns = ("adds", f"{level:.0%} interval", "by its level")
    rows = [
        (part.variable, part.share.value, between(part.share), part.level, _coefficients(part)) for part in found.parts
    ]
    table(("mechanism of", *columns, "by what it makes of its causes"), rows, right=columns)
    for warning in found.warnings:
        say(f"careful: {warning}")


def _coefficients(part: "Part") -> str:
    told = [f"{cause} {text(added)}" for cause, added in sorted(part.causes, key=lambda each: -abs(each[1]))]
    return ", ".join(told[:4])


def show_bottlenecks(found: "Bottlenecks") -> None:
    """Print what to improve first."""
    change = f"change of {found.outcome}" + (f" in {found.unit}" if found.unit else "")
    columns = (change, "95 % interval")
    for each in found.doubtful:
        say(f"not identified: {each.treatment} on {each.outcome}: {each.detail}. To get there: {each.remedy}")
    if not found.edges and not found.levers:
        say(f"No edge that the graph identifies leads to {found.outcome}.")
        return
    rows = [
        (f"{each.cause} -> {each.effect}", f"{each.scale:+.0%}", each.gain.value, between(each.gain.interval))
        for each in found.edges
    ]
    table(("edge", "scaled by", *columns), rows, right=columns)
    if found.levers:
        print()
        levers = [
            (each.variable, each.unit, each.present, each.target, each.answer.change, between(each.answer.interval))
            for each in found.levers
        ]
        table(("lever", "unit", "now", "set to", *columns), levers, right=("now", "set to", *columns))


def between(bounds: "tuple[float, float] | Estimate") -> str:
    """An interval in a cell."""
    low, high = bounds if isinstance(bounds, tuple) else bounds.interval
    return f"{text(low)} to {text(high)}"
