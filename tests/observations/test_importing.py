"""Files: every good row is stored once, every bad one is explained and kept aside, a broken file leaves no trace."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.observations import importing
from cogorch_dagster.observations.importing import import_file
from cogorch_dagster.observations.schema import Observation, to_table
from cogorch_dagster.settings import Settings

Observe = Callable[..., list[Observation]]
Stored = Callable[..., list[dict[str, Any]]]
HEADER = "source_id,occurred_at,component,component_kind,outcome,duration_ms"
GOOD = "{n},2026-03-01T10:00:0{n}Z,c,service,success,{n}.5"


def write_csv(path: Path, *lines: str, header: str = HEADER) -> Path:
    path.write_text("\n".join([header, *lines]) + "\n")
    return path


def test_gentd26(settings: Settings, realdata: Path, stored: Stored) -> None:
    path = realdata / "gentd26" / "requests.csv"
    report = import_file(settings, path, "gentd26")
    outcomes = {"success": 26_392, "failure": 398, "pending": 33}
    assert (report.read, report.added, report.duplicates, report.rejected) == (26_823, 26_823, 0, 0)
    assert (report.by_outcome, report.quarantine) == (outcomes, None)
    rows = stored()
    assert len({row["observation_id"] for row in rows}) == 26_823
    assert (rows[0]["occurred_at"].isoformat(), rows[0]["duration_ms"]) == ("2024-11-15T16:57:50+00:00", 32_000.0)
    assert (rows[0]["component"], rows[0]["tenant"], rows[0]["source"]) == ("image:M0000", "G0000", "gentd26")
    again = import_file(settings, path, "gentd26")
    assert (again.added, again.duplicates, again.by_outcome, again.hours) == (0, 26_823, {}, [])


def test_bad_rows_are_quarantined_and_good_ones_kept(settings: Settings, tmp_path: Path, stored: Stored) -> None:
    path = write_csv(
        tmp_path / "rows.csv",
        GOOD.format(n=1),
        "2,2026-03-01T10:00:00,c,service,success,1",
        "3,2026-03-01T10:00:00Z,c,service,success,nan",
        "4,2026-03-01T10:00:00Z,c,service,sucess,-1",
        "5,2026-03-01T10:00:00Z,c,service",
        '"6\n6",2026-03-01T10:00:00Z,c,service,success,inf',
        "",
        GOOD.format(n=7),
        "8\0,2026-03-01T10:00:00Z,c,service,success,1",
        '9,"2026-03-01T10:00:00Z"x,c,service,success,1',
        GOOD.format(n=9),
    )
    report = import_file(settings, path, source="mine")
    assert (report.read, report.added, report.rejected) == (10, 3, 7)
    found = sorted((item.line, item.field) for item in report.rejections)
    assert found == [
        (3, "occurred_at"),
        (4, "duration_ms"),
        (5, "duration_ms"),
        (5, "outcome"),
        (6, ""),
        (7, "duration_ms"),
        (11, "source_id"),
        (12, ""),
    ]
    assert report.quarantine is not None
    kept = [json.loads(line) for line in Path(report.quarantine).read_text().splitlines()]
    assert sorted(item["line"] for item in kept) == [3, 4, 5, 6, 7, 11, 12]
    by_line = {item["line"]: item for item in kept}
    assert by_line[3]["row"]["source_id"] == "2"
    assert "time zone" in by_line[3]["problems"][0]["message"]
    assert [row["source_id"] for row in stored()] == ["1", "7", "9"]
    again = import_file(settings, path, source="mine")
    assert (again.added, again.duplicates, again.quarantine) == (0, 3, report.quarantine)
    assert len(list(Path(report.quarantine).parent.iterdir())) == 1


def test_bytes_that_are_no_utf8_spoil_their_row_only(settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "latin.csv"
    good, bad = GOOD.format(n=1), GOOD.format(n=2).replace(",c,", ",café,")
    path.write_bytes(f"{HEADER}\n{good}\n".encode() + f"{bad}\n".encode("latin-1"))
    report = import_file(settings, path, source="mine")
    assert (report.added, report.rejected) == (1, 1)
    assert "UTF-8" in report.rejections[0].message


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.csv", b"", "empty"),
        ("a.jsonl", b"", "empty"),
        ("a.csv", b"\0\x01\x02\xff,\n1,2\n", "no readable column names"),
        ("a.csv", HEADER.encode("utf-16"), "encoding: utf-16"),
        ("a.csv", b"source_id,source_id\n1,2\n", "more than once"),
        ("a.csv", b"source_id,durationms\n1,2\n", "did you mean `duration_ms`"),
        ("a.csv", f'{HEADER}\n"1,2\n3,4\n'.encode(), "never closed"),
        ("a.parquet", b"PAR1 but no more", "not a Parquet file"),
        ("a.jsonl", b'[{"a": 1}]', "one object per line"),
        ("a.csv.gz", b"not compressed", "cannot be read"),
        ("a.xlsx", b"x", ".xlsx"),
        ("a", b"x", "no ending"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_as_a_whole(
    settings: Settings, tmp_path: Path, stored: Stored, name: str, content: bytes, words: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InvalidInput, match=words.replace(".", r"\.")):
        import_file(settings, tmp_path / name, source="mine")
    assert stored() == []
    assert list((settings.home / "staging").iterdir()) == []


def test_a_file_that_breaks_off_stores_nothing(
    settings: Settings, tmp_path: Path, stored: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "CHUNK_ROWS", 10)
    whole = gzip.compress("\n".join([HEADER, *(GOOD.format(n=n % 10) for n in range(5000))]).encode())
    (tmp_path / "cut.csv.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InvalidInput, match="complete"):
        import_file(settings, tmp_path / "cut.csv.gz", source="mine")
    assert stored() == []


def test_a_missing_file_and_a_folder(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="no such file"):
        import_file(settings, tmp_path / "nowhere.csv", source="mine")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(InvalidInput, match="folder"):
        import_file(settings, tmp_path / "folder.csv", source="mine")


@pytest.mark.parametrize("path", ["nowhere://folder/rows.csv", "s3://bucket/rows.csv"])
def test_a_path_of_a_kind_that_cannot_be_opened_is_named(settings: Settings, path: str) -> None:
    with pytest.raises(InvalidInput, match="cannot be opened"):
        import_file(settings, path, "litellm")


def test_a_row_without_a_source_says_so(settings: Settings, tmp_path: Path) -> None:
    report = import_file(settings, write_csv(tmp_path / "rows.csv", GOOD.format(n=1)))
    assert (report.added, report.rejected, report.rejections[0].field) == (0, 1, "source")


def test_the_same_rows_in_every_format_are_the_same_observations(
    settings: Settings, tmp_path: Path, observe: Observe
) -> None:
    rows = observe(30, action="a", action_set=["a", "b"], propensity=0.5, context={"k": [1, 2]}, tags={"t": "ü"})
    pq.write_table(to_table(rows), tmp_path / "rows.parquet")
    lines = [row.model_dump_json(exclude_none=True, by_alias=False) for row in rows]
    (tmp_path / "rows.jsonl").write_text("\n".join(lines))
    with gzip.open(tmp_path / "rows.jsonl.gz", "wt") as file:
        file.write("\n".join(lines))
    frame = to_table(rows).to_pandas().drop(columns=["ingested_at"])
    frame["action_set"] = frame["action_set"].map("|".join)
    frame["occurred_at"] = frame["occurred_at"].map(lambda moment: moment.isoformat())
    frame.to_csv(tmp_path / "rows.csv", index=False)
    assert import_file(settings, tmp_path / "rows.parquet").added == 30
    for name in ("rows.jsonl", "rows.jsonl.gz", "rows.csv"):
        report = import_file(settings, tmp_path / name)
        assert (report.added, report.duplicates, report.rejected) == (0, 30, 0), (name, report.rejections)


def test_a_mapped_file_in_parquet_with_naive_times(settings: Settings, tmp_path: Path, stored: Stored) -> None:
    table = pa.table(
        {
            "when": pa.array([1_772_359_200_000_000_000], type=pa.timestamp("ns")),
            "id": [7],
            "ok": [True],
        }
    )
    pq.write_table(table, tmp_path / "rows.parquet")
    mapping = tmp_path / "mapping.yaml"
    mapping.write_text(
        """
        source: mine
        timezone: Europe/Berlin
        columns:
          source_id: id
          occurred_at: when
          component: {constant: c}
          component_kind: {constant: cell}
          outcome: {column: ok, values: {"True": success, "False": failure}}
        """
    )
    assert import_file(settings, tmp_path / "rows.parquet", mapping).added == 1
    assert stored()[0]["occurred_at"].isoformat() == "2026-03-01T09:00:00+00:00"


def test_a_longer_version_of_a_file_adds_what_is_new(settings: Settings, tmp_path: Path) -> None:
    path = write_csv(tmp_path / "rows.csv", GOOD.format(n=1), GOOD.format(n=2))
    assert import_file(settings, path, source="mine").added == 2
    write_csv(path, GOOD.format(n=1), GOOD.format(n=2), GOOD.format(n=3))
    report = import_file(settings, path, source="mine")
    assert (report.added, report.duplicates) == (1, 2)


def test_large_files_are_staged_and_stored_in_bounded_parts(
    settings: Settings, tmp_path: Path, stored: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"CHUNK_ROWS": 70, "MAX_ROWS": 100, "MAX_HOURS": 4}.items():
        monkeypatch.setattr(importing, name, value)
    moments = [(n * 7919) % 1000 for n in range(1000)]
    path = write_csv(
        tmp_path / "rows.csv",
        *(
            f"{m},2026-03-01T{m // 60 if m < 900 else 23:02}:{m % 60:02}:00Z,c,service,success,1".replace("T ", "T0")
            for m in moments
        ),
    )
    sizes: list[int] = []
    monkeypatch.setattr(
        importing,
        "append",
        lambda settings, part, append=importing.append: sizes.append(part.num_rows) or append(settings, part),
    )
    seen: list[int] = []
    report = import_file(settings, path, source="mine", progress=seen.append)
    assert (report.added, report.rejected) == (1000, 0)
    assert seen[-1] == 1000
    assert seen == sorted(seen)
    assert len(sizes) > 5
    assert max(sizes) <= 170
    assert len(stored()) == 1000
