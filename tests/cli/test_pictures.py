"""Where pictures go: what cannot be written is refused before anything long begins."""

from pathlib import Path

import pytest

from cogorch_dagster.cli.pictures import IMAGES, image_of, require_folder, require_image, write_picture
from cogorch_dagster.errors import InvalidInput


def test_a_place_that_can_be_written_to_passes(tmp_path: Path) -> None:
    require_image(None)
    require_image(tmp_path / "a.png")
    require_image(tmp_path / "a.svg", IMAGES)
    assert image_of(tmp_path / "a.svg") == "svg"
    write_picture(tmp_path / "a.png", b"x")
    assert (tmp_path / "a.png").read_bytes() == b"x"


@pytest.mark.parametrize(
    ("name", "images", "message"),
    [
        ("a.gif", IMAGES, r"a\.gif must end in \.png, \.svg, \.pdf$"),
        ("a.svg", ("png",), r"a\.svg must end in \.png$"),
        ("none/a.png", ("png",), r"a\.png cannot be written: .*none is no folder"),
        ("folder.png", ("png",), r"folder\.png cannot be written: it is a folder"),
        ("n" * 300 + ".png", ("png",), r"n\.png cannot be written: file name too long$"),
    ],
)
def test_another_place_is_refused(tmp_path: Path, name: str, images: tuple[str, ...], message: str) -> None:
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(InvalidInput, match=message):
        require_image(tmp_path / name, images)


def test_what_fails_in_the_end_is_told_in_words(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"x\.png cannot be written: there is no such file$"):
        write_picture(tmp_path / "gone" / "x.png", b"")
    (tmp_path / "file").touch()
    with pytest.raises(InvalidInput, match=r"pictures cannot be written to .*file: .*; name another folder"):
        require_folder(tmp_path / "file")
    require_folder(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()
