"""Rows that the service will never accept: written aside with the reason, so that somebody can look at them."""

import json
from datetime import UTC, datetime
from pathlib import Path

_MAX_BYTES = 8 << 20


class RejectedFile:
    """`rejected.jsonl` in the spool's directory; past 8 MiB it becomes `rejected.1.jsonl`, replacing the one before."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "rejected.jsonl"

    def write(self, kind: str, row: str, field: str | None, message: str) -> None:
        """Append one row with the field and the message that the service, or this client, gave."""
        entry = {"at": datetime.now(UTC).isoformat(), "kind": kind, "field": field, "message": message, "row": row}
        if self.path.exists() and self.path.stat().st_size > _MAX_BYTES:
            self.path.replace(self.path.with_name("rejected.1.jsonl"))
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry, ensure_ascii=False) + "\n")
