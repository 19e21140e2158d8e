"""`cogorch registry`: versions of agents, hyperparameters and reward models; compare them, let them act again."""

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cogorch_dagster.cli.output import JsonOption, Output, examples, fields, load_settings, say, table
from cogorch_dagster.cli.pictures import require_image, write_picture

if TYPE_CHECKING:
    from cogorch_dagster.features.reward_judging import Reproduction as Refit
    from cogorch_dagster.registry.differences import Difference
    from cogorch_dagster.registry.records import Registered
    from cogorch_dagster.settings import Settings
    from cogorch_dagster.tuning.side_by_side import Reproduction, SideBySide

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="What was trained and tuned, version by version.",
    epilog=examples("cogorch registry list", "cogorch registry evaluate agent-policy@previous agent-policy@champion"),
)

_NOTHING = """nothing is registered yet; versions come from
  agents           cogorch agents train, job retraining
  hyperparameters  cogorch tune run --confirm, cogorch tune confirm, job hyperparameter_tuning;
                   cogorch tune architectures, job architecture_search; an activation that puts some into force
  reward models    cogorch features reward-model"""
RefArgument = Annotated[str, typer.Argument(metavar="NAME@VERSION", help="Or NAME@champion, @previous, @candidate.")]


@app.command("list", short_help="Names, or the versions of one.", epilog=examples("cogorch registry list agent-policy"))
def list_versions(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Default: the newest version of each.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Newest to show.")] = 20,
    as_json: JsonOption = False,
) -> None:
    """The newest version of each name, or all versions of one, the newest first."""
    out = Output(as_json)
    from cogorch_dagster.registry import store
    from cogorch_dagster.registry.tags import BEATS_STATIC

    settings = load_settings()
    if name is None:
        found = [store.versions(settings, each)[0] for each in store.names(settings)][:limit]
    else:
        found = store.versions(settings, name)[:limit]

    def show() -> None:
        if not found:
            print(f"{name} has no version; `cogorch registry list` shows the names that have" if name else _NOTHING)
            return
        rows = [
            (
                e.ref,
                e.created_at,
                ", ".join(e.aliases) or None,
                e.tags.get(BEATS_STATIC),
                _figure(e.metrics.get("reward")),
                e.lineage.policy_version,
                _short(e.digest),
            )
            for e in found
        ]
        columns = ("version", "registered", "aliases", "beats static", "reward", "policy", "digest")
        table(columns, rows, right=("reward",))

    out.result({"versions": found}, show)


@app.command(short_help="Everything about one.", epilog=examples("cogorch registry show agent-policy@champion"))
def show(ref: RefArgument, as_json: JsonOption = False) -> None:
    """A version's files, parameters, metrics, and where it comes from."""
    out = Output(as_json)
    from cogorch_dagster.registry import store

    found = store.find(load_settings(), ref)
    out.result(found, lambda: _show(found))


@app.command(
    short_help="In what two differ.",
    epilog=examples("cogorch registry compare agent-policy@previous agent-policy@champion"),
)
def compare(first: RefArgument, second: RefArgument, as_json: JsonOption = False) -> None:
    """The parameters, metrics and origins in which two versions differ, as they were recorded."""
    out = Output(as_json)
    from cogorch_dagster.registry import store
    from cogorch_dagster.registry.differences import differences

    settings = load_settings()
    before, after = store.find(settings, first), store.find(settings, second)
    found = differences(before, after)
    value = {"first": before.ref, "second": after.ref, "differences": found}
    out.result(value, lambda: _show_differences(before, after, found))


@app.command(
    short_help="Name the one to use.",
    epilog=examples(
        "cogorch registry alias agent-policy champion 3", "cogorch registry alias agent-policy champion previous"
    ),
)
def alias(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Such as agent-policy.")],
    alias: Annotated[str, typer.Argument(metavar="ALIAS", help="candidate, champion or previous.")],
    version: Annotated[str, typer.Argument(metavar="VERSION", help="A number, or another alias.")],
    as_json: JsonOption = False,
) -> None:
    """Let an alias name a version; a new champion makes the old one the previous.

    The champion of an agent's hyperparameters follows from what is in force: decide on that with `cogorch policy`.
    """
    out = Output(as_json)
    from cogorch_dagster.registry.aliases import set_alias

    found = set_alias(load_settings(), name, alias, version)
    out.result(found, lambda: print(f"{found.ref} is {', '.join(found.aliases)}"))


@app.command(
    short_help="Let agents act again.",
    epilog=examples(
        "cogorch registry evaluate agent-policy@3",
        "cogorch registry evaluate agent-policy@previous agent-policy@champion --seeds 20 --plot beside.png",
        "cogorch registry evaluate reward-model-router-core@champion",
    ),
)
def evaluate(
    first: RefArgument,
    second: Annotated[str | None, typer.Argument(metavar="[NAME@VERSION]", help="To stand beside it.")] = None,
    seeds: Annotated[int, typer.Option(min=2, max=1000, help="Fresh seeds, for two.")] = 20,
    first_seed: Annotated[int, typer.Option(min=0, max=2**32, help="The first of them.")] = 0,
    plot: Annotated[Path | None, typer.Option(metavar="PNG", help="Write the comparison of two there.")] = None,
    as_json: JsonOption = False,
) -> None:
    """One version: measure it again as when it was trained. Two: let both steer the same fresh fleets, and compare.

    Each acts together with the agents that it was trained with. A reward model is fitted again to the hours of then;
    two of them predict the decisions since both were fitted. Exit code 1: a version does not reproduce its metrics.
    """
    out = Output(as_json)
    from cogorch_dagster.errors import InvalidInput
    from cogorch_dagster.registry import store
    from cogorch_dagster.tuning.side_by_side import reproduce, side_by_side

    if plot is not None and second is None:
        raise InvalidInput(f"--plot {plot} shows two versions side by side; name a second one")
    require_image(plot)
    settings = load_settings()
    if first.startswith("reward-model-"):
        if plot is not None:
            raise InvalidInput(
                f"--plot {plot} shows agents; `cogorch features reward-model --plot` draws a reward model"
            )
        _evaluate_reward_models(out, settings, first, second)
        return
    if second is None:
        again = reproduce(settings, store.find(settings, first))
        out.result(_reproduction(again), lambda: _show_reproduction(again))
        if not again.same:
            raise typer.Exit(1)
        return
    before, after = store.find(settings, first), store.find(settings, second)
    found = side_by_side(settings, before, after, seeds=range(first_seed, first_seed + seeds))
    if plot is not None:
        write_picture(plot, found.picture())
    out.result(found.document(), lambda: _show_side_by_side(found))


@app.command(short_help="Clear away what is left over.", epilog=examples("cogorch registry prune"))
def prune(as_json: JsonOption = False) -> None:
    """Remove what killed registrations left, and old reward models; the nightly clean-up does the same.

    A reward model stays for COGORCH_REWARD_MODEL_DAYS, as one of the newest ten of its policy, with an alias, or where
    evidence, a finding or the audit log names it. Other versions stay.
    """
    out = Output(as_json)
    from cogorch_dagster.features.reward_registry import retention
    from cogorch_dagster.registry.pruning import prune

    settings = load_settings()
    found = prune(settings, [retention(settings)])

    def show() -> None:
        print(f"removed {found.files} files and {found.runs} unfinished registrations")
        print(f"old reward models: {', '.join(found.versions) or 'none'}")

    out.result(found, show)


@app.command(
    short_help="Of MLflow's database, for `mlflow server`.",
    epilog=examples("export MLFLOW_BACKEND_STORE_URI=$(cogorch registry address)"),
)
def address(as_json: JsonOption = False) -> None:
    """Print what MLFLOW_BACKEND_STORE_URI has to be for MLflow's own pages.

    It may hold a password: give it by the environment, which other users cannot read, and not as an argument.
    """
    out = Output(as_json)
    from cogorch_dagster.registry.mlflow_store import database_url

    found = database_url(load_settings())
    out.result({"MLFLOW_BACKEND_STORE_URI": found}, lambda: print(found))


def _evaluate_reward_models(out: Output, settings: "Settings", first: str, second: str | None) -> None:
    """One is fitted and judged again as it was; two predict the decisions since both were fitted."""
    from cogorch_dagster.features import reward_judging
    from cogorch_dagster.registry import store

    if second is None:
        again = reward_judging.reproduce(settings, store.find(settings, first))
        value = {**_reproduction(again), "same_inputs": again.same_inputs}
        out.result(value, lambda: _show_reproduction(again))
        if not again.same_inputs:
            say("the hours that it was fitted to, or the rewards' configuration, are not what they were")
        if not again.same:
            raise typer.Exit(1)
        return
    before, after = store.find(settings, first), store.find(settings, second)
    found = reward_judging.beside(settings, before, after, datetime.now(UTC))
    said = f"{found.second} saves {found.saved} of the squared error of {found.first} on {found.decisions} decisions"
    out.result(found, lambda: print(f"{said} since {found.since:%Y-%m-%d %H:%M} UTC"))


def _show(found: "Registered") -> None:
    origin = found.lineage.texts()
    fields(
        [
            ("version", found.ref),
            ("registered", found.created_at),
            ("aliases", ", ".join(found.aliases) or None),
            ("digest", _short(found.digest)),
            *((key, _short(value)) for key, value in {**origin, **found.tags}.items()),
        ]
    )
    print()
    table(
        ("file", "bytes", "sha256"), [(n, a.bytes, _short(a.sha256)) for n, a in found.files.items()], right=("bytes",)
    )
    for title, values in (("parameter", found.params), ("metric", found.metrics)):
        if values:
            print()
            table((title, "value"), [(name, _figure(value)) for name, value in sorted(values.items())])


def _show_differences(first: "Registered", second: "Registered", found: "list[Difference]") -> None:
    if not found:
        print(f"{first.ref} and {second.ref} do not differ")
        return
    rows = [(each.part, each.name, _figure(each.first), _figure(each.second), each.change) for each in found]
    table(("of", "name", first.ref, second.ref, "change"), rows, right=("change",))


def _show_reproduction(found: "Reproduction | Refit") -> None:
    # What differs is shown whole, for it may differ in the last digit.
    rows = [
        (name, _figure(value), _figure(now)) if value == (now := found.found[name]) else (name, repr(value), repr(now))
        for name, value in sorted(found.recorded.items())
    ]
    table(("metric", "recorded", "found"), rows)
    print("the same, bit for bit" if found.same else "not the same: another device, processor or code rounds otherwise")


def _show_side_by_side(found: "SideBySide") -> None:
    print(f"{found.second.ref} against {found.first.ref}, each with the agents it was trained with")
    for each in found.comparisons.values():
        print(f"  {each.verdict}")


def _reproduction(found: "Reproduction | Refit") -> dict[str, Any]:
    return {"version": found.version.ref, "recorded": found.recorded, "found": found.found, "same": found.same}


def _figure(value: object) -> object:
    """A value as people read it: six significant digits, digests short."""
    if isinstance(value, float):
        return f"{value:.6g}"
    return _short(value) if isinstance(value, str) else value


def _short(text: str) -> str:
    """The text with twelve digits of each digest in it."""
    return re.sub(r"\b(sha256:[0-9a-f]{12})[0-9a-f]{52}\b", r"\1", text)
