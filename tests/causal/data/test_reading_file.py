"""Files are understood by a rule that is written down, and what cannot be is named by line and column."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cogorch_dagster.causal.data import reading_file as module
from cogorch_dagster.causal.data.preparation import prepared
from cogorch_dagster.causal.data.reading_file import read_file
from cogorch_dagster.causal.data.tiers import default_knowledge
from cogorch_dagster.errors import InvalidInput


def written(folder: Path, text: str, name: str = "data.csv") -> str:
    path = folder / name
    path.write_text(text)
    return str(path)


def test_columns_are_what_their_cells_say(tmp_path: Path) -> None:
    text = "x,n,few,colour,flag,wide\n" + "".join(
        f"{row / 3},{row},{row % 4},{'red' if row % 3 else 'blue'},{'true' if row % 2 else 'false'},{row}.5\n"
        for row in range(12)
    )
    text += "NA,,null, , N/A,nan\n"
    found = read_file(written(tmp_path, text))
    kinds = {variable.name: variable.kind for variable in found.variables}
    assert kinds == {
        "x": "continuous",
        "n": "continuous",
        "few": "discrete",
        "colour": "discrete",
        "flag": "discrete",
        "wide": "continuous",
    }
    levels = {variable.name: variable.levels for variable in found.variables}
    assert levels["few"] == ("0", "1", "2", "3") and levels["colour"] == ("blue", "red")
    assert levels["flag"] == ("false", "true")
    assert found.column("colour")[:4].tolist() == [0, 1, 1, 0] and np.isnan(found.values[12]).all()
    assert found.scope == "data.csv" and found.groups.tolist() == list(range(13)) and found.inputs == found.digest
    assert default_knowledge(found).document()["tiers"] == []
    other = read_file(written(tmp_path, text), continuous=["few"], discrete=["n"])
    assert other.variables[2].kind == "continuous" and len(other.variables[1].levels) == 12
    assert other.variables[1].levels[:3] == ("0", "1", "2"), "levels are in the order of numbers"


def test_formats_agree(tmp_path: Path) -> None:
    frame = pd.DataFrame({"x": [0.5, 1.5, None, 3.0], "d": ["a", "b", None, "a"], "flag": [True, False, True, True]})
    frame.to_csv(tmp_path / "f.csv", index=False)
    frame.to_json(tmp_path / "f.jsonl", orient="records", lines=True)
    frame.to_parquet(tmp_path / "f.parquet")
    frame.to_csv(tmp_path / "f.tsv", index=False, sep="\t")
    one, *others = (read_file(str(tmp_path / name)) for name in ("f.csv", "f.jsonl", "f.parquet", "f.tsv"))
    for other in others:
        assert other.variables == one.variables
        np.testing.assert_array_equal(other.values, one.values)


def test_time_and_group_put_rows_in_order(tmp_path: Path) -> None:
    text = "at,site,x\n2026-01-01T00:02:00Z,b,1.5\n2026-01-01T00:01:00Z,a,2.5\n2026-01-01T00:00:00Z,b,3.5\n"
    path = written(tmp_path, text)
    found = read_file(path, time="at", group="site")
    assert found.names == ("x",) and found.column("x").tolist() == [2.5, 3.5, 1.5]
    assert found.groups.tolist() == [0, 1, 1] and np.diff(found.times).tolist() == [-60, 120]
    assert read_file(path, time="at").column("x").tolist() == [3.5, 2.5, 1.5]
    ordered = read_file(path, ordered=True)
    assert ordered.groups.tolist() == [0, 0, 0] and ordered.times.tolist() == [0, 1, 2]
    with pytest.raises(
        InvalidInput, match=r"line 2, column 'site': 'b' is neither a number below 1e\+18 nor an ISO 8601"
    ):
        read_file(path, time="site")
    path = written(tmp_path, "at,x\n0.4,1.5\n0.2,2.5\n-0.1,3.5\n")
    assert read_file(path, time="at").column("x").tolist() == [3.5, 2.5, 1.5]
    with pytest.raises(InvalidInput, match="'1e30' is neither"):
        read_file(written(tmp_path, "at,x\n1e30,1.5\n"), time="at")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("a,b\n", "has no rows"),
        ("a,b\n1,2\n3\n", "line 3 has 1 values and the header 2"),
        ("a,a\n1,2\n", "names 'a' more than once"),
        ("a,\n1,2\n", "line 1 has a column without a name"),
        ("a\n" + "1.5\n" * 19 + "1;5\n", "line 21, column 'a': '1;5' is no number as the others are"),
        ("a\n1\ninf\n", "line 3, column 'a': inf is not finite"),
        ("a\n\n", "has no rows"),
        ("a,b\nNA,\n,\n", "no column that can be used: a has no value; b has no value"),
    ],
)
def test_what_cannot_be_understood_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        read_file(written(tmp_path, text))


def test_limits_and_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, "id,x\n" + "".join(f"user-{row},{row}.5\n" for row in range(60)))
    found = read_file(path)
    assert found.names == ("x",) and found.set_aside[0].reason == "has 60 different values that are no numbers"
    for what in ("continuous", "discrete"):
        with pytest.raises(InvalidInput, match="no column 'y'; it has id, x"):
            read_file(path, **{what: ["y"]})  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="cannot be both"):
        read_file(path, continuous=["x"], discrete=["x"])
    with pytest.raises(InvalidInput, match="line 2, column 'id'"):
        read_file(path, continuous=["id"])
    with pytest.raises(InvalidInput, match="there is no such file"):
        read_file(str(tmp_path / "none.csv"))
    monkeypatch.setattr(module, "MOST_ROWS", 50)
    with pytest.raises(InvalidInput, match="more than 50 rows"):
        read_file(path)


def test_a_file_in_order_of_time_is_prewhitened_and_one_without_is_not(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    values = np.cumsum(rng.standard_normal((400, 2)), axis=0)
    path = written(tmp_path, "a,b\n" + "".join(f"{a:.6f},{b:.6f}\n" for a, b in values))
    assert prepared(read_file(path, ordered=True)).lags == 1
    assert prepared(read_file(path)).lags == 0
