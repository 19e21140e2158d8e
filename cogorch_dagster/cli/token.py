"""`cogorch token`: who may talk to the service."""

from typing import Annotated

import typer

from cogorch_dagster.cli.output import ActorOption, JsonOption, Output, acting, examples, load_settings, table

app = typer.Typer(
    help="Bearer tokens of the service.",
    no_args_is_help=True,
    epilog=examples("cogorch token create router-eu --scope ingest --scope read"),
)


@app.command(epilog=examples("cogorch token create router-eu --scope ingest --scope read"))
def create(
    name: Annotated[str, typer.Argument(help="Unique; it appears in the audit log.")],
    scope: Annotated[list[str], typer.Option(help="ingest, read or approve; may be given several times.")],
    replace: Annotated[bool, typer.Option("--replace", help="Give an existing token a new secret.")] = False,
    actor: ActorOption = None,
    as_json: JsonOption = False,
) -> None:
    """Issue a token and print its secret, which cannot be shown again."""
    out = Output(as_json)
    from cogorch_dagster.cli.output import say
    from cogorch_dagster.platform.database import transaction
    from cogorch_dagster.service import tokens

    with transaction(load_settings()) as connection:
        secret = tokens.issue(connection, name, scope, replace=replace, actor=acting(actor))
    say("Keep this secret: only its hash is stored.")
    out.result({"name": name, "scopes": sorted(set(scope)), "secret": secret}, lambda: print(secret))


@app.command("list", epilog=examples("cogorch token list --json"))
def list_(as_json: JsonOption = False) -> None:
    """Every token, revoked ones included."""
    out = Output(as_json)
    from cogorch_dagster.platform.database import transaction
    from cogorch_dagster.service import tokens

    with transaction(load_settings()) as connection:
        known = tokens.list_tokens(connection)
    value = [
        {"name": t.name, "scopes": sorted(t.scopes), "created_at": t.created_at, "revoked_at": t.revoked_at}
        for t in known
    ]
    rows = [(t.name, " ".join(sorted(t.scopes)), t.created_at, t.revoked_at) for t in known]
    out.result({"tokens": value}, lambda: table(("name", "scopes", "created", "revoked"), rows))


@app.command(epilog=examples("cogorch token revoke router-eu"))
def revoke(
    name: Annotated[str, typer.Argument(help="As in `cogorch token list`.")],
    actor: ActorOption = None,
    as_json: JsonOption = False,
) -> None:
    """End a token."""
    out = Output(as_json)
    from cogorch_dagster.errors import InvalidInput
    from cogorch_dagster.platform.database import transaction
    from cogorch_dagster.service import tokens

    with transaction(load_settings()) as connection:
        revoked = tokens.revoke(connection, name, actor=acting(actor))
    if not revoked:
        raise InvalidInput(f"no token {name!r} is in force; see `cogorch token list`")
    out.result({"name": name, "revoked": True}, lambda: print(f"{name} is revoked"))
