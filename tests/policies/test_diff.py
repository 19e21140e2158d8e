"""Differences between documents."""

from cogorch_dagster.policies.diff import Change, diff


def test_diff_names_each_parameter_by_its_path() -> None:
    before = {"w": {"a": 0.5, "b": 0.5}, "on": ["error"], "t": 1, "same": {"x": 1}}
    after = {"w": {"a": 0.4, "c": 0.6}, "on": ["error", "timeout"], "new": None, "same": {"x": 1.0}}
    assert diff(before, after) == [
        Change("new", "added", None, None),
        Change("on", "changed", ["error"], ["error", "timeout"]),
        Change("t", "removed", 1, None),
        Change("w.a", "changed", 0.5, 0.4),
        Change("w.b", "removed", 0.5, None),
        Change("w.c", "added", None, 0.6),
    ]
    assert diff(after, after) == []
