"""The options that the commands of `cogorch causal` share, and what they mean: versions, values, amounts."""

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from cogorch_dagster.causal.models.intervention import Values
    from cogorch_dagster.causal.versions.version import CausalVersion
    from cogorch_dagster.settings import Settings

ComponentOption = Annotated[
    str | None, typer.Option("--component", "-c", help="Whose graph; may be left out where only one has one.")
]
VersionOption = Annotated[
    str | None, typer.Option("--version", help="Digest of a version, or its beginning; default: the latest.")
]
OfOption = Annotated[list[str] | None, typer.Option("--of", help="An outcome; repeat for several; default: all.")]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Set a variable, whatever its causes; repeat.")
]
ShiftOption = Annotated[
    list[str] | None, typer.Option("--shift", metavar="NAME=AMOUNT", help="Add to a variable, such as replicas=+1.")
]
LevelOption = Annotated[float, typer.Option(help="Of the intervals, 0.5 to 0.999.")]


def version_of(settings: "Settings", component: str | None, digest: str | None) -> "CausalVersion":
    """The version that is asked for; the latest of the only scope where neither is said."""
    from cogorch_dagster.causal.versions import store
    from cogorch_dagster.errors import InvalidInput
    from cogorch_dagster.platform.database import transaction

    with transaction(settings) as connection:
        if digest is not None:
            chosen = store.get(connection, digest)
            if component is not None and chosen.scope != component:
                raise InvalidInput(f"version {digest} is of {chosen.scope}, not of {component}; give one of the two")
            return chosen
        scopes = [component] if component is not None else store.scopes(connection)
        if len(scopes) != 1:
            if not scopes:
                raise InvalidInput("there is no graph yet; run `cogorch causal discover`")
            raise InvalidInput(f"there are graphs of {', '.join(scopes)}; choose one with --component")
        found = store.latest(connection, scopes[0])
    if found is None:
        raise InvalidInput(f"no graph of {scopes[0]!r} was found yet; run `cogorch causal discover -c {scopes[0]}`")
    return found


def values_of(given: list[str] | None, option: str) -> "Values":
    """NAME=VALUE pairs; a value that is no number is a level."""
    found: dict[str, float | str] = {}
    for name, value in _pairs(given, option):
        try:
            found[name] = float(value)
        except ValueError:
            found[name] = value
    return found


def amounts_of(given: list[str] | None) -> dict[str, float]:
    from cogorch_dagster.errors import InvalidInput

    found = {}
    for name, value in _pairs(given, "--shift"):
        try:
            found[name] = float(value)
        except ValueError as error:
            raise InvalidInput(f"--shift {name}={value}: {value!r} is no number such as +1 or -0.5") from error
    return found


def _pairs(given: list[str] | None, option: str) -> list[tuple[str, str]]:
    from cogorch_dagster.errors import InvalidInput

    pairs: list[tuple[str, str]] = []
    for each in given or []:
        name, equals, value = each.rpartition("=")
        if not equals or not name or not value:
            raise InvalidInput(f"{option} {each!r} is not NAME=VALUE, such as context:replicas=6")
        if name in dict(pairs):
            raise InvalidInput(f"{option} gives {name} twice; give it once")
        pairs.append((name, value))
    return pairs
