"""Machine code of other sources is not used again."""

from pathlib import Path

from cogorch_dagster.causal.discovery.machine_code import folder


def test_each_state_of_the_sources_has_a_folder_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "inner.py").write_text("x = 1\n")
    (tmp_path / "outer.py").write_text("from inner import x\n")
    first = folder(tmp_path)
    first.mkdir(parents=True)
    (first / "outer.nbc").write_bytes(b"machine code")
    assert folder(tmp_path) == first and (first / "outer.nbc").exists()
    (tmp_path / "inner.py").write_text("x = 2\n")
    second = folder(tmp_path)
    assert second != first and not first.exists()
    (tmp_path / "inner.py").rename(tmp_path / "other.py")
    assert folder(tmp_path) not in {first, second}
