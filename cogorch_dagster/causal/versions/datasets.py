"""Where data sets are kept: a Parquet file in the lake, named by its digest, and a row for each.

A version of the graph names the data set that it was found in, so its answers can be computed again when the raw
observations are long gone. The file comes first and goes last.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from cogorch_dagster.causal.data.dataset import CausalDataset, SetAside, Variable
from cogorch_dagster.errors import InvalidInput, Refused, Unavailable
from cogorch_dagster.lake import blobs
from cogorch_dagster.platform import database
from cogorch_dagster.platform.tables import causal_datasets as table
from cogorch_dagster.platform.tables import causal_versions
from cogorch_dagster.policies.document import as_document
from cogorch_dagster.settings import Settings

FOLDER = "causal"
_HEAD = b"cogorch"


@dataclass(frozen=True)
class StoredDataset:
    """The row of a data set; `document` has its variables and what was set aside, `path` is relative to the lake."""

    digest: str
    scope: str
    created_at: datetime
    since: datetime | None
    until: datetime | None
    rows: int
    inputs: str
    path: str
    bytes: int
    document: Mapping[str, Any]

    @property
    def of_component(self) -> bool:
        """Whether it was read from the lake, not from a file."""
        return self.since is not None


def save(settings: Settings, dataset: CausalDataset) -> StoredDataset:
    """Keep a data set; the same one again changes nothing, but puts its file right if that was damaged."""
    with database.transaction(settings) as connection:
        return keep(settings, connection, dataset)


def keep(settings: Settings, connection: sa.Connection, dataset: CausalDataset) -> StoredDataset:
    """The same within a transaction, which no clean-up comes between."""
    content = pack(dataset)
    values = {
        "digest": dataset.digest,
        "scope": dataset.scope,
        "since": dataset.since,
        "until": dataset.until,
        "rows": dataset.rows,
        "inputs": dataset.inputs,
        "path": f"{FOLDER}/{dataset.digest.removeprefix('sha256:')}.parquet",
        "bytes": len(content),
        "document": as_document(_document(dataset)),
    }
    database.lock(connection, FOLDER, "datasets")  # Else a clean-up could take the file for one that nothing names.
    blobs.write(_url(settings, str(values["path"])), content)
    connection.execute(insert(table).values(values).on_conflict_do_nothing())
    return _get(connection, dataset.digest)


def latest(connection: sa.Connection, scope: str | None = None) -> list[StoredDataset]:
    """The newest data set of each scope, or of one, in the order of the scopes."""
    query = sa.select(table).distinct(table.c.scope).order_by(table.c.scope, table.c.created_at.desc(), table.c.digest)
    if scope is not None:
        query = query.where(table.c.scope == scope)
    return [_stored(row) for row in connection.execute(query)]


def load(settings: Settings, digest: str) -> CausalDataset:
    """The data set of a digest, held against it.

    Raises:
        Refused: `unknown_dataset`, `missing_dataset` (no file), `damaged_dataset` (its file is not what was saved).
        Unavailable: the lake cannot be read.
    """
    with database.transaction(settings) as connection:
        stored = _get(connection, digest)
    url = _url(settings, stored.path)
    what = f"data set {digest} of {stored.scope}"
    remedy = f"Restore {url} from a backup, or discover anew."
    try:
        content = blobs.read(url)
    except FileNotFoundError as error:
        raise Refused("missing_dataset", f"the file of {what} is gone. {remedy}") from error
    except OSError as error:
        raise Unavailable(f"{what} cannot be read from {url}: {error}. Check the lake, then try again.") from error
    try:
        found = unpack(content)
    except InvalidInput as error:
        raise Refused("damaged_dataset", f"the file of {what} is not what was saved: {error}. {remedy}") from error
    if found.digest != digest:
        raise Refused("damaged_dataset", f"the file of {what} holds another data set, {found.digest}. {remedy}")
    return found


def prune(settings: Settings, newest: int) -> int:
    """Forget data sets that no version names, all but the newest of each scope, and files that no row names.

    Returns:
        How many rows and files went.
    """
    if newest < 1:
        raise InvalidInput(f"newest is {newest}; at least one data set of each scope stays, so it must be 1 or more")
    # In two transactions: were the files gone before the rows are, a crash would leave rows without files.
    with database.transaction(settings) as connection:
        database.lock(connection, FOLDER, "datasets")
        place = sa.func.row_number().over(partition_by=table.c.scope, order_by=table.c.created_at.desc())
        ranked = sa.select(table.c.digest, place.label("place")).subquery()
        named = sa.select(causal_versions.c.dataset)
        old = sa.select(ranked.c.digest).where(ranked.c.place > newest, ranked.c.digest.not_in(named))
        rows = connection.execute(sa.delete(table).where(table.c.digest.in_(old))).rowcount
    with database.transaction(settings) as connection:
        database.lock(connection, FOLDER, "datasets")
        known = set(connection.execute(sa.select(table.c.path)).scalars())
        unnamed = [path for name in blobs.written(_url(settings, FOLDER)) if (path := f"{FOLDER}/{name}") not in known]
        for path in unnamed:
            blobs.delete(_url(settings, path))
    return rows + len(unnamed)


def pack(dataset: CausalDataset) -> bytes:
    """The data set as a Parquet file; the same data set gives the same bytes."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = [pa.array(dataset.values[:, place], from_pandas=True) for place in range(len(dataset.variables))]
    columns += [pa.array(dataset.groups), pa.array(dataset.times)]
    names = [*(f"v{place}" for place in range(len(dataset.variables))), "group", "time"]
    head = json.dumps(_document(dataset), sort_keys=True, ensure_ascii=False).encode()
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(columns, names=names).replace_schema_metadata({_HEAD: head}), sink, compression="zstd")
    return bytes(sink.getvalue())


def unpack(content: bytes) -> CausalDataset:
    """The data set in a file that `pack` made.

    Raises:
        InvalidInput: it is no such file.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        # On this thread: the file is small, and a pool of threads may outlive a process that ends in an error.
        held = pq.ParquetFile(pa.BufferReader(content)).read(use_threads=False)
        document = json.loads((held.schema.metadata or {})[_HEAD])
        variables = tuple(Variable.of(each) for each in document["variables"])
        values = [held[f"v{place}"].to_numpy(zero_copy_only=False) for place in range(len(variables))]
        return CausalDataset(
            scope=document["scope"],
            variables=variables,
            values=np.column_stack(values),
            groups=held["group"].to_numpy(),
            times=held["time"].to_numpy(),
            since=_moment(document["since"]),
            until=_moment(document["until"]),
            inputs=document["inputs"],
            set_aside=tuple(SetAside(**each) for each in document["set_aside"]),
        )
    except (pa.ArrowException, KeyError, TypeError, ValueError) as error:
        raise InvalidInput(f"it is not the file of a data set: {error}") from error


def _document(dataset: CausalDataset) -> dict[str, Any]:
    return {
        "scope": dataset.scope,
        "since": None if dataset.since is None else dataset.since.astimezone(UTC).isoformat(),
        "until": None if dataset.until is None else dataset.until.astimezone(UTC).isoformat(),
        "inputs": dataset.inputs,
        "variables": [variable.document() for variable in dataset.variables],
        "set_aside": [{"name": each.name, "reason": each.reason} for each in dataset.set_aside],
    }


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _get(connection: sa.Connection, digest: str) -> StoredDataset:
    row = connection.execute(sa.select(table).where(table.c.digest == digest)).one_or_none()
    if row is None:
        raise Refused("unknown_dataset", f"there is no data set {digest}; `cogorch causal discover` makes one")
    return _stored(row)


def _stored(row: sa.Row[Any]) -> StoredDataset:
    return StoredDataset(**row._asdict())


def _url(settings: Settings, path: str) -> str:
    return f"{settings.lake_root}/{path}"
