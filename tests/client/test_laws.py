"""What the client computes by itself, because it stands alone, against the service's own computation."""

import subprocess
import sys
from datetime import UTC, datetime
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from cogorch_dagster.client.document import params_digest
from cogorch_dagster.client.identity import observation_id, with_identity
from cogorch_dagster.client.sse import Event, read_events
from cogorch_dagster.observations import identity
from cogorch_dagster.policies.document import digest

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
    max_leaves=20,
)
TIMES = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@settings(max_examples=50, deadline=None)
@given(st.dictionaries(TEXT, JSON))
def test_the_digest_is_that_of_the_life_cycle(params: dict[str, Any]) -> None:
    assert params_digest(params) == digest(params)


@settings(max_examples=50, deadline=None)
@given(TEXT, TEXT, TIMES)
def test_the_observation_id_is_that_of_the_service(source: str, source_id: str, moment: datetime) -> None:
    assert observation_id(source, source_id, moment) == str(identity.observation_id(source, source_id, moment))


def test_identity_is_added_only_where_it_is_missing_and_can_be_known() -> None:
    moment = datetime(2026, 1, 31, 12, tzinfo=UTC)
    full = with_identity({"source": "s", "source_id": "1", "occurred_at": moment.isoformat()})
    assert full["observation_id"] == str(identity.observation_id("s", "1", moment))
    assert with_identity({"sourceId": "1", "observationId": "given"}) == {"sourceId": "1", "observationId": "given"}
    assert set(with_identity({"source_id": "1", "occurred_at": "yesterday"})) == {"source_id", "occurred_at"}
    first, second = with_identity({"occurred_at": moment}), with_identity({"occurred_at": moment})
    assert first["source_id"] != second["source_id"] and first["observation_id"] != second["observation_id"]


def test_events_are_read_as_the_standard_says() -> None:
    lines = [": hello", "", "event: policy", "id: 1", "data: a", "data:b", "", "data: plain", "", "data: cut off"]
    assert list(read_events(lines)) == [Event("policy", "a\nb", "1"), Event("message", "plain", None)]


def test_the_client_stands_alone() -> None:
    code = (
        "import sys; import cogorch_dagster.client; "
        "print([m for m in sys.modules if m.split('.')[0] in "
        "('pydantic', 'sqlalchemy', 'orjson', 'pyarrow', 'fastapi', 'psycopg', 'dagster') "
        "or m.startswith('cogorch_dagster.') and not m.startswith('cogorch_dagster.client')])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
