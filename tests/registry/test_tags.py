"""A tag is written on a version later and leaves everything else of it as it is."""

import pytest

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.registry import store
from cogorch_dagster.registry.records import Lineage
from cogorch_dagster.registry.tags import set_tag
from cogorch_dagster.settings import Settings


def test_a_tag_is_written_and_replaced_and_changes_nothing_else(mlflow_database: Settings) -> None:
    settings, lineage = mlflow_database, Lineage(code_version="0.1.0")
    made, other = (
        store.register(settings, "a", {"p.json": text}, params={}, metrics={}, lineage=lineage, tags={"t": "1"})
        for text in (b"[1]", b"[2]")
    )
    for text in ("no", "yes"):
        marked = set_tag(settings, made, "passed", text)
        assert store.find(settings, made.ref) == marked
        assert marked.tags == {"t": "1", "passed": text} and marked.digest == made.digest
    assert store.find(settings, other.ref) == other
    assert store.register(settings, "a", {"p.json": b"[1]"}, params={}, metrics={}, lineage=lineage) == marked
    with pytest.raises(InvalidInput, match="not beginning with cogorch"):
        set_tag(settings, made, "cogorch.digest", "x")
