"""Parameter files: what is wrong is named with its line."""

import json
from pathlib import Path
from typing import Any

import pytest

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.policies import kinds, lined_yaml
from cogorch_dagster.policies.params_file import params_from_file
from cogorch_dagster.policies.seed import documents

GOOD = """\
modelWeights:
  a: 0.5
  b: 0.5
latencyTargetMs: 100
maxCostUsd: 0.01
fallbackOn: [error]
cooldownMs: 0
timeoutMs: 1000
"""


def read(tmp_path: Path, text: str, name: str = "params.yaml") -> dict[str, Any]:
    path = tmp_path / name
    path.write_text(text)
    return params_from_file(path, "router")


def test_yaml_and_json_give_the_same_document(tmp_path: Path, params: Any) -> None:
    expected = kinds.validated("router", params())
    assert read(tmp_path, GOOD) == expected
    assert read(tmp_path, json.dumps(params(), indent="\t"), "params.json") == expected
    assert read(tmp_path, "kind: router\nparams:\n" + "".join(f"  {line}\n" for line in GOOD.splitlines())) == expected


@pytest.mark.parametrize("text", ["1e-3", "1E-3", "1.e-3", "0.1e-2", ".1e-2", "+10e-4", "0.001"])
@pytest.mark.parametrize("name", ["params.yaml", "params.json"])
def test_floats_are_read_as_yaml_1_2_reads_them(tmp_path: Path, text: str, name: str) -> None:
    assert read(tmp_path, GOOD.replace("0.01", text), name)["maxCostUsd"] == 0.001


def test_large_and_signed_exponents(tmp_path: Path) -> None:
    path = tmp_path / "numbers.yaml"
    path.write_text("large: 1E5\nsmall: 1e-06\nsigned: -2.5e+1\nwhole: 15\ntext: 1e-3x\nhexadecimal: 0x1e5\n")
    document, _ = lined_yaml.load(path)
    assert document == {
        "large": 1e5, "small": 1e-6, "signed": -25.0, "whole": 15, "text": "1e-3x", "hexadecimal": 0x1E5
    }  # fmt: skip


@pytest.mark.parametrize("quoted", ["'1e-3'", '"1e-3"'])
def test_a_number_in_quotes_stays_a_text(tmp_path: Path, quoted: str) -> None:
    with pytest.raises(InvalidInput, match=r"params\.yaml:5: maxCostUsd: .*valid number \(got '1e-3'\)"):
        read(tmp_path, GOOD.replace("0.01", quoted))


def test_every_seed_is_a_valid_document() -> None:
    for each in documents():
        assert kinds.validated(each["kind"], each["params"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (GOOD.replace("b: 0.5", "b: 0.6"), r"modelWeights sum to 1\.1"),
        (GOOD.replace("b: 0.5", "b: lots"), r"params\.yaml:3: modelWeights\.b: .*number.*'lots'"),
        (GOOD.replace("[error]", "\n  - error\n  - panic"), r"params\.yaml:8: fallbackOn\.1"),
        (GOOD + "typo: 1\n", r"params\.yaml:9: typo"),
        (GOOD + "timeoutMs: 2\n", r"params\.yaml:9: 'timeoutMs' is given twice, first on line 8"),
        ("a: [1\nb: 2", r"params\.yaml:2: not YAML"),
        ("\n- 1\n", "mapping of names"),
        ("", "is empty"),
        ("a: &x [1]\nb: *x\n", r"params\.yaml:\d: anchors and aliases"),
        ("? [a]\n: 1", "plain text"),
        ("a: !!python/object:os.system {}", "not YAML"),
        ("a: 2020-13-45", "not YAML"),
        ("[" * 50_000, "not YAML"),
        ("kind: reward\nparams: {}\n", r"params\.yaml:1: the file is of kind 'reward', not 'router'"),
        (" " * 1_000_001, "larger than"),
    ],
)
def test_errors_name_file_line_and_value(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        read(tmp_path, text)


def test_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"missing\.yaml cannot be read: there is no such file$"):
        params_from_file(tmp_path / "missing.yaml", "router")
    with pytest.raises(InvalidInput, match="cannot be read: it is a folder"):
        params_from_file(tmp_path, "router")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InvalidInput, match="cannot be read: it is not text in UTF-8"):
        params_from_file(tmp_path / "binary.yaml", "router")
