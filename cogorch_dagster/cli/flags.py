"""`cogorch flags`: the switches of the installation."""

from typing import Annotated

import typer

from cogorch_dagster.cli.output import ActorOption, JsonOption, Output, acting, examples, load_settings, table

app = typer.Typer(
    help="The switches of the installation; learning.enabled is the kill switch.",
    no_args_is_help=True,
    epilog=examples("cogorch flags list", "cogorch flags set learning.enabled false --reason 'incident 12'"),
)


@app.command("list", epilog=examples("cogorch flags list --json"))
def list_(as_json: JsonOption = False) -> None:
    """Every flag, its value, who set it and when."""
    out = Output(as_json)
    from cogorch_dagster.platform.database import transaction
    from cogorch_dagster.policies import flags

    with transaction(load_settings()) as connection:
        known = flags.list_flags(connection)
    rows = [(flag.name, str(flag.value).lower(), flag.updated_by, flag.updated_at) for flag in known]
    out.result({"flags": known}, lambda: table(("flag", "value", "set by", "set at"), rows))


@app.command("set", epilog=examples("cogorch flags set learning.enabled false --reason 'incident 12'"))
def set_(
    name: Annotated[str, typer.Argument(help="As in `cogorch flags list`.")],
    value: Annotated[str, typer.Argument(help="true or false.")],
    reason: Annotated[str, typer.Option(help="Kept in the audit log.")],
    actor: ActorOption = None,
    as_json: JsonOption = False,
) -> None:
    """Set a flag, with a reason for the audit log."""
    out = Output(as_json)
    from cogorch_dagster.errors import InvalidInput
    from cogorch_dagster.platform.database import transaction
    from cogorch_dagster.policies import flags

    if value not in ("true", "false"):
        raise InvalidInput(f"the value of {name} is true or false, got {value!r}")
    with transaction(load_settings()) as connection:
        flag = flags.set_flag(connection, name, value == "true", actor=acting(actor), reason=reason)
    out.result(flag, lambda: print(f"{flag.name} is {str(flag.value).lower()}"))
