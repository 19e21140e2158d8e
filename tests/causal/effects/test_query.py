"""Answers are values: comparable, and plain enough for JSON."""

import json
from dataclasses import FrozenInstanceError, asdict

import pytest

from cogorch_dagster.causal.effects.query import Estimand, IdentifiedRange, NotIdentified


def test_equal_answers_are_equal_and_other_sets_are_not() -> None:
    one = Estimand("backdoor", "replicas", "latency", adjustment=("load",))
    assert one == Estimand("backdoor", "replicas", "latency", adjustment=("load",))
    assert len({one, Estimand("backdoor", "replicas", "latency")}) == 2
    with pytest.raises(FrozenInstanceError):
        one.kind = "zero"  # type: ignore[misc]


def test_answers_go_through_json() -> None:
    estimand = Estimand("frontdoor", "t", "y", mediators=("m",), alternatives=(("a", "b"),))
    whole = IdentifiedRange("t", "y", (estimand, Estimand("zero", "t", "y")), ("t -- m",), "the direction is unknown")
    read = json.loads(json.dumps(asdict(whole)))
    assert read["estimands"][0]["mediators"] == ["m"]
    assert [each["kind"] for each in read["estimands"]] == ["frontdoor", "zero"]
    refusal = NotIdentified("t", "y", "selection", "why", "what helps")
    assert json.loads(json.dumps(asdict(refusal)))["proven"] is False
