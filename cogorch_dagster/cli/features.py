"""`cogorch features`: build features of a router's decisions, look at them, and measure what they are worth."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cogorch_dagster.cli.output import JsonOption, Output, examples, fields, load_settings, say, table, text, when
from cogorch_dagster.cli.policy_options import names_version
from cogorch_dagster.cli.reward_model import REWARD_MODEL_EPILOG, reward_model

if TYPE_CHECKING:
    import sqlalchemy as sa

    from cogorch_dagster.features.feature_set import FeatureSet
    from cogorch_dagster.features.gain import Gain

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Features of decisions, made of what was known before each.",
    epilog=examples("cogorch features build router-core --since 7d", "cogorch features gain"),
)

PolicyArgument = Annotated[str, typer.Argument(metavar="[POLICY]", help="The router whose decisions they are of.")]
SinceOption = Annotated[str, typer.Option(help="An age such as 90m, 24h or 7d, or a time, ISO 8601, UTC.")]
UntilOption = Annotated[str | None, typer.Option(help="Only decisions before this time, or of this age and older.")]
SeedOption = Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Of the selection, the folds and the bootstrap.")]
SetArgument = Annotated[
    str, typer.Argument(metavar="[POLICY|DIGEST]", help="The latest set of a router, or a digest or its beginning.")
]
DEFAULT = "router-core"
_SHOWN = 15


@app.command(
    "build",
    short_help="Make, check and select features.",
    epilog=examples(
        "cogorch features build router-core", "cogorch features build --since 24h --window 60 --window 3600"
    ),
)
def build(
    policy: PolicyArgument = DEFAULT,
    *,
    since: SinceOption = "7d",
    until: UntilOption = None,
    window: Annotated[list[int] | None, typer.Option(help="Seconds of the past to look at; several times.")] = None,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Synthesise features, check that none looks into the future, keep those that predict later rewards.

    Exit code 3 when a feature leaks; the message names it.
    """
    out = Output(as_json)
    from cogorch_dagster.evaluation.measurement import period
    from cogorch_dagster.features import building, store, synthesis
    from cogorch_dagster.platform.database import transaction

    settings = load_settings()
    begin, end = period(when(since), when(until) if until else None)
    with transaction(settings) as connection:
        _require_router(connection, policy)
    found = building.build(settings, policy, begin, end, windows_s=window or synthesis.WINDOWS_S, seed=seed)
    with transaction(settings) as connection:
        added = store.save(connection, found)
    out.result({**_value(found), "added": added}, lambda: _show(found))
    if not added:
        say("the same set was there already")


@app.command(
    "show",
    short_help="One feature set.",
    epilog=examples("cogorch features show router-core", "cogorch features show 3f2a91c0"),
)
def show(which: SetArgument = DEFAULT, *, as_json: JsonOption = False) -> None:
    """Show the features of a set and how they were chosen."""
    out = Output(as_json)
    found = _chosen(which)
    out.result({**_value(found), "definitions": found.definitions}, lambda: _show(found))


@app.command("list", short_help="The feature sets, newest first.", epilog=examples("cogorch features list"))
def listed(
    *,
    policy: Annotated[str | None, typer.Option(metavar="POLICY", help="Only those of this router.")] = None,
    as_json: JsonOption = False,
) -> None:
    """List feature sets."""
    out = Output(as_json)
    from cogorch_dagster.features import store
    from cogorch_dagster.platform.database import transaction

    with transaction(load_settings()) as connection:
        found = store.listing(connection, policy)
    columns = ("selected", "rows", "explained")
    rows = [
        (each.digest[7:19], each.scope, each.created_at, each.selected, each.rows, each.explained) for each in found
    ]
    out.result(found, lambda: table(("digest", "policy", "created", *columns), rows, right=columns))
    if not found:
        say("no feature set yet; make one with `cogorch features build`")


@app.command(
    "gain",
    short_help="The interval with and without features.",
    epilog=examples("cogorch features gain router-core --candidate new.yaml --since 24h"),
)
def gain(
    which: SetArgument = DEFAULT,
    *,
    candidate: Annotated[
        str | None,
        typer.Option(metavar="FILE|POLICY@VERSION", help="What to evaluate; default: the version in force."),
    ] = None,
    since: Annotated[str | None, typer.Option(help="Default: since the end of what they were selected on.")] = None,
    until: UntilOption = None,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Evaluate a router's parameters doubly robustly, with features and without, on the same decisions.

    Exit code 3 when the decisions cannot answer.
    """
    out = Output(as_json)
    from cogorch_dagster.evaluation.measurement import period
    from cogorch_dagster.features.gain import measure_gain

    features = _chosen(which)
    begin, end = period(when(since) if since else features.until, when(until) if until else None)
    if begin < features.until:
        say(
            f"the features were selected on decisions before {features.until.isoformat()}; later ones are a fairer test"
        )
    found = measure_gain(load_settings(), features, _params(candidate, features.scope), begin, end, seed=seed)
    out.result({"digest": features.digest, "since": begin, "until": end, "gain": found}, lambda: _show_gain(found))


app.command("reward-model", short_help="Fit, judge and register expected rewards.", epilog=REWARD_MODEL_EPILOG)(
    reward_model
)


def _chosen(which: str) -> "FeatureSet":
    """The latest set of a router, or that of a digest."""
    from cogorch_dagster.errors import InvalidInput
    from cogorch_dagster.features import store
    from cogorch_dagster.platform.database import transaction
    from cogorch_dagster.policies import store as policies

    with transaction(load_settings()) as connection:
        known = {each.policy_id for each in policies.policies(connection)}
        if which not in known and store.is_digest(which):
            return store.get(connection, which)
        _require_router(connection, which)
        found = store.latest(connection, which)
    if found is None:
        raise InvalidInput(f"{which} has no feature set; make one with `cogorch features build {which}`")
    return found


def _require_router(connection: "sa.Connection", policy: str) -> None:
    from cogorch_dagster.errors import InvalidInput
    from cogorch_dagster.policies import store

    found = store.policy(connection, policy)
    if found.kind != "router":
        raise InvalidInput(f"{policy} is of kind {found.kind}; features are made of the decisions of a router")


def _params(candidate: str | None, policy: str) -> dict[str, Any]:
    from cogorch_dagster.errors import InvalidInput
    from cogorch_dagster.platform.database import transaction
    from cogorch_dagster.policies import store
    from cogorch_dagster.policies.document import parse_ref
    from cogorch_dagster.policies.params_file import params_from_file

    if candidate is not None and not names_version(candidate):
        return params_from_file(Path(candidate), "router")
    with transaction(load_settings()) as connection:
        if candidate is not None:
            policy_id, number = parse_ref(candidate)
            _require_router(connection, policy_id)
            return store.version(connection, policy_id, number).params
        active = store.active(connection, policy)
    if active is None:
        raise InvalidInput(f"no version of {policy} is in force; say with --candidate what to evaluate")
    return active.params


def _value(found: "FeatureSet") -> dict[str, Any]:
    return {"digest": found.digest, **{k: v for k, v in found.document().items() if k != "definitions"}}


def _show(found: "FeatureSet") -> None:
    fields(
        [
            ("digest", found.digest),
            ("policy", found.scope),
            ("decisions", f"{found.rows:,}"),
            ("period", f"{text(found.since)} to {text(found.until)}"),
            ("features", f"{len(found.selected)} selected of {found.considered}"),
            (
                "explained",
                f"{found.explained:.1%} of held-out variance, {found.explained_without:.1%} by the arm alone",
            ),
        ]
    )
    print()
    rows = [(each.name, each.mean, each.lower, "kept" if each.kept else "") for each in found.importances[:_SHOWN]]
    table(("feature", "importance", "lower bound", ""), rows, right=("importance", "lower bound"))


def _show_gain(found: "Gain") -> None:
    rows = [
        (name, each.value, f"{text(each.ci95[0])} to {text(each.ci95[1])}", each.se)
        for name, each in (("without", found.without), (f"with {found.features}", found.with_features))
    ]
    table(("features", "value", "95 % interval", "error"), rows, right=("value", "95 % interval", "error"))
    low, high = found.ratio_ci95
    print(f"\nratio of the widths {found.ratio:.4f} (95 % bootstrap {low:.4f} to {high:.4f})")
