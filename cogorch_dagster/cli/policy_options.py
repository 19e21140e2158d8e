"""Arguments with a policy or a version that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

RefArgument = Annotated[str, typer.Argument(metavar="POLICY@VERSION", help="Such as router-core@1.0.1.")]
ReasonOption = Annotated[str, typer.Option(help="Kept with the decision and in the audit log.")]


def names_version(given: str) -> bool:
    """Whether FILE|POLICY@VERSION is the latter: a file of that name goes first."""
    try:
        return "@" in given and not Path(given).exists()
    except OSError:
        # Too long for a name, for example.
        return True
