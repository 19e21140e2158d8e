"""A fleet's parameters from a file: what is wrong with it is said in words, with its line where it has one."""

from pathlib import Path

import pytest
import yaml

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.fleet.parameters import default_parameters
from cogorch_dagster.fleet.parameters_file import parameters_from_file


def test_the_parameters_come_back(tmp_path: Path) -> None:
    file = tmp_path / "fleet.yaml"
    file.write_text(yaml.safe_dump(default_parameters().model_dump(mode="json")))
    assert parameters_from_file(file) == default_parameters()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"cannot be read: there is no such file$"),
        (b"", r"fleet\.yaml is empty"),
        (b"a: [1\n", r"fleet\.yaml:2: not YAML or JSON: expected"),
        (b"[1]", r"fleet\.yaml:1: it must be a mapping .* not a list"),
        (b"null", r"fleet\.yaml:1: it must be a mapping .* not nothing"),
        (b"\xff\xfe", r"cannot be read: it is not text in UTF-8"),
        (b"horizon: x\n", r"does not describe a fleet: .*horizon: "),
    ],
)
def test_one_clear_error(tmp_path: Path, content: bytes | None, message: str) -> None:
    file = tmp_path / "fleet.yaml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(InvalidInput, match=message) as caught:
        parameters_from_file(file)
    assert "\n" not in str(caught.value)
