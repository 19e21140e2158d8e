"""Knowledge says what edges may be, reads from YAML, and is refused by name where it contradicts itself."""

from pathlib import Path

import numpy as np
import pytest

from cogorch_dagster.causal.graphs.knowledge import Knowledge
from cogorch_dagster.errors import InvalidInput

NAMES = ("replicas", "load", "latency", "errors", "note")
FULL = Knowledge(
    tiers=(("replicas", "load"), ("latency", "errors")),
    within=(0,),
    required=frozenset({("load", "latency")}),
    forbidden=frozenset({("errors", "latency"), ("note", "load")}),
    latents=frozenset({frozenset({"latency", "errors"})}),
)


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "knowledge.yaml"
    path.write_text(text)
    return path


def test_tiers_forbid_what_leads_back_and_what_lies_within() -> None:
    matrix = Knowledge(tiers=FULL.tiers, within=(0,)).forbidden_matrix(NAMES)
    expected = np.eye(5, dtype=bool)
    # From the later tier to the earlier, and within the first; `note` is in no tier and free.
    expected[np.ix_([2, 3], [0, 1])] = True
    expected[0, 1] = expected[1, 0] = True
    assert (matrix == expected).all()


def test_edges_are_forbidden_one_way_and_by_a_required_one() -> None:
    matrix = Knowledge(required=FULL.required, forbidden=FULL.forbidden).forbidden_matrix(NAMES)
    forbidden = {(NAMES[i], NAMES[j]) for i, j in np.argwhere(matrix) if i != j}
    assert forbidden == {("latency", "load"), ("errors", "latency"), ("note", "load")}
    assert {(NAMES[i], NAMES[j]) for i, j in np.argwhere(FULL.required_matrix(NAMES))} == {("load", "latency")}
    assert {(NAMES[i], NAMES[j]) for i, j in np.argwhere(FULL.latent_matrix(NAMES))} == {
        ("latency", "errors"),
        ("errors", "latency"),
    }


def test_a_file_says_what_the_object_says(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        """
tiers: [[replicas, load], [latency, errors]]
within: [0]
required: [[load, latency]]
forbidden:
  - [errors, latency]
  - [note, load]
latents: [[errors, latency]]
""",
    )
    assert Knowledge.read(path) == FULL
    assert Knowledge.of(FULL.document()) == FULL
    FULL.check(NAMES)


@pytest.mark.parametrize(
    ("text", "where", "problem"),
    [
        ("required:\n  - [a, b]\n  - [a]\n", ":3: ", "two different names"),
        ("latents:\n  - [a, a]\n", ":2: ", "two different names"),
        ("tiers: [[a], [b]]\nedges: []\n", ":2: ", "edges"),
        ("within: [first]\n", ":1: ", "integer"),
    ],
)
def test_a_bad_file_is_refused_by_its_line(tmp_path: Path, text: str, where: str, problem: str) -> None:
    with pytest.raises(InvalidInput, match=problem) as error:
        Knowledge.read(written(tmp_path, text))
    assert f"knowledge.yaml{where}" in str(error.value)


@pytest.mark.parametrize(
    ("knowledge", "message"),
    [
        (Knowledge(required=frozenset({("a", "b")}), forbidden=frozenset({("a", "b")})), "a -> b is both required and"),
        (Knowledge(tiers=(("a",), ("b",)), required=frozenset({("b", "a")})), "b -> a is required, but b is in tier 1"),
        (Knowledge(tiers=(("a", "b"),), within=(0,), required=frozenset({("a", "b")})), "do not cause one another"),
        (Knowledge(required=frozenset({("a", "b"), ("b", "c"), ("c", "a")})), "a -> b, b -> c, c -> a form a cycle"),
        (Knowledge(required=frozenset({("a", "b"), ("b", "a")})), "a -> b, b -> a form a cycle"),
        (Knowledge(tiers=(("a",), ("b", "a"))), "in more than one tier: a"),
        (Knowledge(forbidden=frozenset({("a", "x")})), "names x; variables: a, b, c"),
        (Knowledge(latents=frozenset({frozenset({"y", "a"})})), "names y"),
        (Knowledge(tiers=(("a",),), within=(1,)), "names tier 1; tiers are numbered 0 to 0"),
    ],
)
def test_a_contradiction_names_its_edges(knowledge: Knowledge, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        knowledge.check(("a", "b", "c"))


def test_required_edges_through_an_earlier_tier_contradict() -> None:
    """a -> free -> b with b in an earlier tier than a: each edge is allowed, the path is not."""
    knowledge = Knowledge(tiers=(("b",), ("a",)), required=frozenset({("a", "free"), ("free", "b")}))
    with pytest.raises(InvalidInput, match="a -> free, free -> b lead from a later tier"):
        knowledge.check(("a", "b", "free"))


def test_the_tiers_of_the_other_replace_these() -> None:
    other = Knowledge(tiers=(("load",), ("replicas",)), required=frozenset({("load", "replicas")}))
    both = FULL.merged(other)
    assert both.tiers == other.tiers and both.within == ()
    assert both.required == FULL.required | other.required and both.forbidden == FULL.forbidden
    assert FULL.merged(Knowledge()) == FULL


def test_what_is_said_of_other_variables_is_left_out() -> None:
    some = FULL.among(["replicas", "latency", "errors"])
    assert some.tiers == (("replicas",), ("latency", "errors")) and some.within == (0,)
    assert some.required == frozenset() and some.forbidden == frozenset({("errors", "latency")})
    assert some.latents == FULL.latents
    some.check(["replicas", "latency", "errors"])


def test_the_document_is_in_one_order() -> None:
    edges = [("a", "b"), ("b", "c"), ("a", "c")]
    assert Knowledge(required=frozenset(edges)).document() == Knowledge(required=frozenset(reversed(edges))).document()
