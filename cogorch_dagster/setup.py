"""`cogorch setup`: bring an installation into the state that everything else expects. Running it again changes nothing.

Databases and schema, the seed policies, Dagster's instance, a token for commands and programs on this machine, `.env`.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.settings import Settings

LOCAL_TOKEN = "local"  # noqa: S105  the name of the token, not its secret


@dataclass(frozen=True)
class Setup:
    """What an installation has after `setup`.

    Attributes:
        seeded: references of the policies that were new, such as `router-core@1.0.0`.
        token_file: holds the secret of the local token, readable by its owner alone.
        env_file: the file that got new lines, None when nothing was missing in it.
    """

    home: Path
    schema: str
    seeded: list[str]
    token_file: Path
    env_file: Path | None


def setup(settings: Settings, env_file: Path, say: Callable[[str], None]) -> Setup:
    """Prepare the installation; safe to run at any time, also while it is up.

    Args:
        env_file: where Dagster and later commands find the home; only missing names are added.
        say: told each step.

    Raises:
        Unavailable: PostgreSQL does not start or refuses the connection.
        InvalidInput: the home or `env_file` cannot be written.
    """
    from cogorch_dagster.platform import dagster_instance

    try:
        settings.home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidInput(
            f"COGORCH_HOME={settings.home} cannot be made: {error.strerror}. Name another folder."
        ) from error
    schema, seeded = prepare_databases(settings)
    say(f"PostgreSQL is ready, schema {schema}" + (f", seeded {', '.join(seeded)}" if seeded else ""))
    say(f"Dagster instance: {dagster_instance.write_instance(settings)}")
    token_file = local_token_file(settings)
    if keep_local_token(settings):
        say(f"Token for this machine: {token_file}")
    added = write_env_file(settings, env_file)
    if added:
        say(f"Added to {env_file}: {', '.join(added)}")
    return Setup(settings.home, schema, seeded, token_file, env_file if added else None)


def prepare_databases(settings: Settings) -> tuple[str, list[str]]:
    """Start PostgreSQL if it is ours, migrate and seed; returns the schema's revision and what was seeded."""
    from cogorch_dagster.platform import database, migrate
    from cogorch_dagster.policies.seed import seed

    revision = migrate.prepare(settings)
    with database.transaction(settings) as connection:
        return revision, seed(connection)


def local_token_file(settings: Settings) -> Path:
    """Where the secret of the local token is."""
    return settings.home / "tokens" / LOCAL_TOKEN


def keep_local_token(settings: Settings) -> bool:
    """Issue the local token unless its file holds a valid one; True when it was issued.

    It has every scope: whoever can read the file can also use the database.
    """
    from cogorch_dagster.platform import database
    from cogorch_dagster.service import tokens

    path = local_token_file(settings)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    secret = path.read_text().strip() if path.exists() else ""
    with database.transaction(settings) as connection:
        known = tokens.verify(connection, secret) if secret else None
        if known and known.revoked_at is None:
            return False
        secret = tokens.issue(connection, LOCAL_TOKEN, tokens.SCOPES, replace=True, actor="setup")
        _write_private(path, secret + "\n")
    return True


def write_env_file(settings: Settings, env_file: Path) -> list[str]:
    """Add the names that `.env` lacks, keep all that is there; returns the added names.

    A home that the environment names is not written down: it holds for this call, not for those after it.
    """
    from cogorch_dagster.platform import dagster_instance

    wanted = {"COGORCH_HOME": settings.home, "DAGSTER_HOME": dagster_instance.directory(settings)}
    text = env_file.read_text() if env_file.exists() else ""
    present = {line.partition("=")[0].removeprefix("export ").strip() for line in text.splitlines() if "=" in line}
    missing = {name: value for name, value in wanted.items() if name not in present}
    if not missing or "COGORCH_HOME" in os.environ:
        return []
    head = text or "# Written by `cogorch setup`, which adds what is missing and changes nothing else.\n"
    lines = [f"{name}='{value}'" for name, value in missing.items()]
    try:
        _write_private(env_file, head.rstrip("\n") + "\n" + "\n".join(lines) + "\n")
    except OSError as error:
        raise InvalidInput(f"{env_file} cannot be written: {error.strerror}. Run in a folder of yours.") from error
    return list(missing)


def _write_private(path: Path, text: str) -> None:
    temporary = path.with_name(path.name + ".tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    temporary.replace(path)
