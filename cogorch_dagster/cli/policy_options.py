"""Arguments that commands of `cogorch policy` share."""

from typing import Annotated

import typer

RefArgument = Annotated[str, typer.Argument(metavar="POLICY@VERSION", help="Such as router-core@1.0.1.")]
ReasonOption = Annotated[str, typer.Option(help="Kept with the decision and in the audit log.")]
