"""Where checkpoints are kept: files in the lake named by their digest, and a row for each that counts.

The file comes first and goes last, so that a row always names a whole file; a file that no row names is cleared away
by `prune`. What a checkpoint holds is `checkpoints.py`.
"""

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from cogorch_dagster.agents import checkpoints
from cogorch_dagster.agents.checkpoints import Checkpoint
from cogorch_dagster.errors import InvalidInput, Refused, Unavailable
from cogorch_dagster.lake import blobs
from cogorch_dagster.platform import database
from cogorch_dagster.platform.tables import agent_checkpoints
from cogorch_dagster.policies.document import as_document
from cogorch_dagster.settings import Settings

FOLDER = "checkpoints"
_NEWEST = (agent_checkpoints.c.created_at.desc(), agent_checkpoints.c.steps.desc(), agent_checkpoints.c.digest)


@dataclass(frozen=True)
class StoredCheckpoint:
    """The row of a checkpoint.

    Attributes:
        digest: `sha256:` and the hash of its file.
        created_at: when the training took it, UTC.
        calibration: digest of the environment's parameters that it was trained in.
        steps: of single environments, trained by then.
        path: of the file, relative to the lake's root.
        bytes: size of the file.
        run_id: of the run that saved it first, if one did.
    """

    digest: str
    agent: str
    algorithm: str
    created_at: datetime
    calibration: str
    steps: int
    path: str
    bytes: int
    metrics: Mapping[str, float]
    configuration: Mapping[str, Any]
    run_id: str | None


@dataclass(frozen=True)
class Pruned:
    """What a clean-up removed: checkpoints (rows) and files, among them those that had no row."""

    checkpoints: int
    files: int


def save(settings: Settings, checkpoint: Checkpoint, run_id: str | None = None) -> StoredCheckpoint:
    """Keep a checkpoint; saving the same one again changes nothing, but puts its file right if that was damaged.

    Raises:
        InvalidInput: its parts or configuration hold what a checkpoint cannot.
    """
    content = checkpoints.pack(checkpoint)
    digest = checkpoints.digest(content)
    stored = StoredCheckpoint(
        digest=digest,
        agent=checkpoint.agent,
        algorithm=checkpoint.algorithm,
        created_at=checkpoint.created_at,
        calibration=checkpoint.calibration,
        steps=checkpoint.steps,
        path=f"{_folder(checkpoint.agent)}/{digest.removeprefix('sha256:')}.safetensors",
        bytes=len(content),
        metrics=as_document(checkpoint.metrics),
        configuration=as_document(checkpoint.configuration),
        run_id=run_id,
    )
    with database.transaction(settings) as connection:
        _lock(connection, checkpoint.agent)  # Else a clean-up could take the file for one that nothing names.
        blobs.write(_url(settings, stored.path), content)
        connection.execute(insert(agent_checkpoints).values(asdict(stored)).on_conflict_do_nothing())
        return _get(connection, digest)


def get(settings: Settings, digest: str) -> StoredCheckpoint:
    """The checkpoint of a digest; raises Refused(`unknown_checkpoint`) when there is none."""
    with database.transaction(settings) as connection:
        return _get(connection, digest)


def latest(settings: Settings, agent: str, calibration: str | None = None) -> StoredCheckpoint | None:
    """An agent's newest checkpoint, if it has one; with `calibration` only among those trained in that environment."""
    found = listing(settings, agent, calibration, limit=1)
    return found[0] if found else None


def newest(connection: sa.Connection, agent: str) -> StoredCheckpoint | None:
    """As `latest`, within a transaction of the caller's."""
    found = _listing(connection, agent, None, limit=1)
    return found[0] if found else None


def listing(
    settings: Settings, agent: str | None = None, calibration: str | None = None, limit: int = 100
) -> list[StoredCheckpoint]:
    """Checkpoints, the newest first; of all agents and calibrations, or of those named."""
    with database.transaction(settings) as connection:
        return _listing(connection, agent, calibration, limit)


def load(settings: Settings, stored: StoredCheckpoint) -> Checkpoint:
    """The checkpoint itself, verified against its digest.

    Raises:
        Refused: `missing_checkpoint` (no file) or `damaged_checkpoint` (its file is not what was saved).
        Unavailable: the lake cannot be read.
    """
    url = _url(settings, stored.path)
    what = f"checkpoint {stored.digest} of agent {stored.agent} ({stored.steps} steps)"
    remedy = f"Restore {url} from a backup, or remove the checkpoint; an earlier one or a new training takes its place."
    try:
        content = blobs.read(url)
    except FileNotFoundError as error:
        raise Refused("missing_checkpoint", f"the file of {what} is gone. {remedy}") from error
    except OSError as error:
        raise Unavailable(f"{what} cannot be read from {url}: {error}. Check the lake, then try again.") from error
    try:
        found = checkpoints.digest(content)
        if found != stored.digest:
            raise InvalidInput(f"it is another checkpoint, {found}")
        return checkpoints.unpack(content)
    except InvalidInput as error:
        raise Refused("damaged_checkpoint", f"the file of {what} is not what was saved: {error}. {remedy}") from error


def remove(settings: Settings, digest: str) -> None:
    """Forget a checkpoint; its file goes with the next `prune`. Raises Refused(`unknown_checkpoint`)."""
    with database.transaction(settings) as connection:
        found = _get(connection, digest)
        connection.execute(sa.delete(agent_checkpoints).where(agent_checkpoints.c.digest == found.digest))


def prune(settings: Settings, keep: int, in_use: Collection[str] = ()) -> Pruned:
    """Keep the newest `keep` checkpoints of each agent; delete the others, and all files that no row names.

    Args:
        in_use: digests that stay whatever their age, and do not count as one of the `keep`.

    Raises:
        InvalidInput: `keep` is less than 1.
    """
    if keep < 1:
        raise InvalidInput(
            f"keep is {keep}; at least the newest checkpoint of each agent stays, so it must be 1 or more"
        )
    with database.transaction(settings) as connection:
        agents = set(connection.execute(sa.select(agent_checkpoints.c.agent).distinct()).scalars())
    agents |= {name.split("/")[0] for name in blobs.written(_url(settings, FOLDER)) if "/" in name}
    rows = files = 0
    for agent in sorted(agents):
        # In two transactions: were the files gone before the rows are, a crash would leave rows without files.
        with database.transaction(settings) as connection:
            rows += _forget_old(connection, agent, keep, in_use)
        with database.transaction(settings) as connection:
            files += _delete_unnamed(settings, connection, agent)
    return Pruned(checkpoints=rows, files=files)


def _listing(
    connection: sa.Connection, agent: str | None, calibration: str | None, limit: int
) -> list[StoredCheckpoint]:
    query = sa.select(agent_checkpoints).order_by(*_NEWEST).limit(limit)
    if agent is not None:
        query = query.where(agent_checkpoints.c.agent == agent)
    if calibration is not None:
        query = query.where(agent_checkpoints.c.calibration == calibration)
    return [_stored(row) for row in connection.execute(query)]


def _forget_old(connection: sa.Connection, agent: str, keep: int, in_use: Collection[str]) -> int:
    _lock(connection, agent)
    table = agent_checkpoints
    of_agent = sa.and_(table.c.agent == agent, table.c.digest.not_in(list(in_use)))
    newest = sa.select(table.c.digest).where(of_agent).order_by(*_NEWEST).limit(keep)
    return connection.execute(sa.delete(table).where(of_agent, table.c.digest.not_in(newest))).rowcount


def _delete_unnamed(settings: Settings, connection: sa.Connection, agent: str) -> int:
    # Who saves holds this lock from before the file until after the row, so no file here is about to be named.
    _lock(connection, agent)
    query = sa.select(agent_checkpoints.c.path).where(agent_checkpoints.c.agent == agent)
    named = set(connection.execute(query).scalars())
    paths = [f"{_folder(agent)}/{name}" for name in blobs.written(_url(settings, _folder(agent)))]
    unnamed = [path for path in paths if path not in named]
    for path in unnamed:
        blobs.delete(_url(settings, path))
    return len(unnamed)


def _lock(connection: sa.Connection, agent: str) -> None:
    database.lock(connection, FOLDER, agent)


def _get(connection: sa.Connection, digest: str) -> StoredCheckpoint:
    row = connection.execute(sa.select(agent_checkpoints).where(agent_checkpoints.c.digest == digest)).one_or_none()
    if row is None:
        raise Refused("unknown_checkpoint", f"there is no checkpoint {digest}; see `cogorch agents list`")
    return _stored(row)


def _stored(row: sa.Row[Any]) -> StoredCheckpoint:
    stored = StoredCheckpoint(**row._asdict())
    return replace(stored, created_at=stored.created_at.astimezone(UTC))


def _folder(agent: str) -> str:
    return f"{FOLDER}/{agent}"


def _url(settings: Settings, path: str) -> str:
    return f"{settings.lake_root}/{path}"
