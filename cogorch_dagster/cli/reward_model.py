"""`cogorch features reward-model`: fit what a router's decisions are expected to earn, judge it, and register it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cogorch_dagster.cli.output import JsonOption, Output, examples, fields, load_settings, table, text, when
from cogorch_dagster.cli.pictures import require_image, write_picture

if TYPE_CHECKING:
    from cogorch_dagster.evaluation.predictive import Figure, Quality
    from cogorch_dagster.features.feature_set import FeatureSet
    from cogorch_dagster.features.reward_fitting import Fitted
    from cogorch_dagster.features.reward_judging import Verdict
    from cogorch_dagster.registry.records import Registered
    from cogorch_dagster.settings import Settings

REWARD_MODEL_EPILOG = examples(
    "cogorch features reward-model router-core --since 2d --plot calibration.png",
    "cogorch features reward-model --features none",
    "cogorch registry show reward-model-router-core@champion",
)
_FIGURES = {
    "rmse": "error",
    "rmse_by_arm": "error of the means by arm",
    "r2": "explained share of the variance",
    "r2_by_arm": "explained by the means by arm",
    "saved": "squared error saved over these",
    "bias": "observed less predicted",
    "slope": "slope of observed by predicted",
}


def reward_model(
    policy: Annotated[str, typer.Argument(metavar="[POLICY]", help="The router whose decisions it is of.")] = (
        "router-core"
    ),
    *,
    since: Annotated[str, typer.Option(help="An age such as 90m, 24h or 7d, or a time, ISO 8601, UTC.")] = "7d",
    until: Annotated[
        str | None, typer.Option(help="Only decisions before this time, or of this age and older.")
    ] = None,
    features: Annotated[
        str,
        typer.Option(metavar="current|none|DIGEST", help="What it knows; current: the latest set; none: the context."),
    ] = "current",
    plot: Annotated[Path | None, typer.Option(metavar="PNG", help="Write predicted and observed there.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Fit what decisions are expected to earn to all but the newest fifth of them, judge it there, and register it.

    It becomes the champion when it is better than the champion on the newest decisions, with the interval above 0.
    """
    out = Output(as_json)
    from cogorch_dagster.evaluation.measurement import period
    from cogorch_dagster.features.reward_figure import calibration_figure
    from cogorch_dagster.features.reward_fitting import fit
    from cogorch_dagster.features.reward_judging import is_new, register

    require_image(plot)
    settings = load_settings()
    begin, end = period(when(since), when(until) if until else None)
    found = fit(settings, policy, begin, end, features=_features(settings, policy, features))
    version, verdict = register(settings, found)
    if plot is not None:
        write_picture(plot, calibration_figure(found))
    new = is_new(version, found)
    out.result(_value(found, version, verdict) | {"new": new}, lambda: _show(found, version, verdict, new))


def _features(settings: "Settings", policy: str, which: str) -> "FeatureSet | None":
    from cogorch_dagster.errors import InvalidInput
    from cogorch_dagster.features import store
    from cogorch_dagster.platform.database import transaction

    if which == "none":
        return None
    with transaction(settings) as connection:
        if which == "current":
            return store.latest(connection, policy)
        found = store.get(connection, which)
    if found.scope != policy:
        raise InvalidInput(f"the feature set {which} is of {found.scope}, not of {policy}")
    return found


def _value(found: "Fitted", version: "Registered", verdict: "Verdict") -> dict[str, Any]:
    return {
        "version": version.ref,
        "aliases": list(version.aliases),
        "verdict": verdict,
        "feature_set": found.rewards.feature_set,
        "features": list(found.rewards.model.features),
        "since": found.since,
        "fitted_until": found.fitted_until,
        "until": found.until,
        "inputs": found.inputs,
        "out_of_fold": found.out_of_fold,
        "newest": found.newest,
        "calibration": list(found.curve),
    }


def _show(found: "Fitted", version: "Registered", verdict: "Verdict", new: bool) -> None:
    rewards = found.rewards
    repeats = None if new else f"what was registered at {text(version.created_at)}; nothing new is"
    knows = f"{len(rewards.model.features)} of {rewards.feature_set[:19]}" if rewards.feature_set else None
    fields(
        [
            ("version", f"{version.ref} ({', '.join(version.aliases) or 'no alias'})"),
            *([("repeats", repeats)] if repeats else []),
            ("verdict", str(verdict)),
            ("fitted to", f"{found.since:%Y-%m-%d %H:%M} to {found.fitted_until:%Y-%m-%d %H:%M} UTC"),
            ("features", knows or f"{len(rewards.context)} columns of the context"),
        ]
    )
    print()
    last = None if found.newest is None else found.newest
    rows = [
        (title, *_figure(found.out_of_fold, name), *(_figure(last, name) if last is not None else (None, None)))
        for name, title in _FIGURES.items()
    ]
    count = 0 if last is None else last.decisions
    names = (f"of {found.out_of_fold.decisions} later ones", "95 % interval", f"of the newest {count}", "95 %")
    table(("figure", *names), rows, right=names)


def _figure(quality: "Quality", name: str) -> tuple[float, str]:
    figure: Figure = getattr(quality, name)
    return figure.value, f"{figure.low:.3f} to {figure.high:.3f}"
