"""Canonical JSON is one text per value, the same after PostgreSQL has had it; versions order by number."""

import json
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.dialects.postgresql import JSONB

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.policies import document

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


@given(value=values)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_digest_survives_jsonb(connection: sa.Connection, value: Any) -> None:
    text = document.canonical_json(value)
    stored = connection.execute(sa.select(sa.cast(sa.literal(text, sa.Text), JSONB))).scalar_one()
    assert document.canonical_json(stored) == text
    assert document.canonical_json(json.loads(text)) == text


@given(mapping=st.dictionaries(texts, st.floats(-10, 10), min_size=2, max_size=6))
def test_key_order_and_number_form_do_not_matter(mapping: dict[str, float]) -> None:
    reordered = {key: int(number) if number.is_integer() else number for key, number in reversed(mapping.items())}
    assert document.digest(mapping) == document.digest(reordered)


def test_different_documents_have_different_digests() -> None:
    assert document.digest({"a": 0.1}) != document.digest({"a": 0.10000000000000002})
    assert document.digest({"a": True}) != document.digest({"a": 1})
    assert document.digest({"a": "1"}) != document.digest({"a": 1})
    assert document.digest({}) == "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "\0", "\ud800", {1: 2}, {1, 2}, object(), b"x"])
def test_what_json_cannot_hold_is_refused_with_its_place(value: Any) -> None:
    with pytest.raises(InvalidInput, match=r"\$\.deep\[1\]"):
        document.canonical_json({"deep": [0, value]})


def test_next_version_follows_the_highest_by_number() -> None:
    assert document.next_version([]) == "1.0.0"
    assert document.next_version(["1.0.9", "1.0.10", "1.0.2"]) == "1.0.11"
    assert document.next_version(["1.2.3"], "minor") == "1.3.0"
    assert document.next_version(["1.2.3"], "major") == "2.0.0"


def test_parse_ref() -> None:
    assert document.parse_ref("reward-llm_router@1.0.12") == ("reward-llm_router", "1.0.12")


@pytest.mark.parametrize(
    "text", ["router-core", "router-core@", "router-core@1.0", "Router@1.0.0", "r@01.0.0", "a@1.0.0-rc1"]
)
def test_parse_ref_refuses(text: str) -> None:
    with pytest.raises(InvalidInput, match=r"1\.0\.1|characters"):
        document.parse_ref(text)


def test_a_policy_without_a_version_is_its_own_example() -> None:
    with pytest.raises(InvalidInput, match=r"'agent-policy' names no version; .* such as agent-policy@1\.0\.1"):
        document.parse_ref("agent-policy")
    with pytest.raises(InvalidInput, match=r"such as router-core@1\.0\.1"):
        document.parse_ref("Not An Id")
