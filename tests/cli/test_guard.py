"""Guard rules on the command line: checked, proposed, in force, and what they say of a version."""

import json
from pathlib import Path

from cogorch_dagster.settings import Settings
from tests.cli.conftest import Run

CAP = Path(__file__).parents[2] / "docs" / "guards" / "weight-cap.rego"


def test_a_rule_from_its_file_to_the_refusal(cogorch: Run, seeded: Settings, tmp_path: Path) -> None:
    checked = cogorch("guard", "check", CAP, "--json").json
    assert (checked["sound"], checked["params"]["appliesTo"]) == (True, {"kind": "router", "policy": None})

    broken = tmp_path / "broken.rego"
    broken.write_text(CAP.read_text().replace("weight > 0.9", "nosuch(weight)"))
    refused = cogorch("guard", "propose", "weight-cap", broken, "--json")
    assert (refused.code, refused.json["error"]["kind"]) == (2, "invalid_input")
    line = next(n for n, text in enumerate(broken.read_text().splitlines(), 1) if "nosuch" in text)
    assert f"line {line}: undefined function nosuch" in refused.json["error"]["message"]

    assert cogorch("guard", "propose", "weight-cap", CAP, "--json").json["ref"] == "weight-cap@1.0.0"
    assert cogorch("guard", "list", "--json").json["guards"] == []
    assert cogorch("policy", "approve", "weight-cap@1.0.0", "--reason", "agreed").code == 0
    assert cogorch("policy", "activate", "weight-cap@1.0.0").code == 0
    (guard,) = cogorch("guard", "list", "--json").json["guards"]
    assert guard["ref"] == "weight-cap@1.0.0"

    params = cogorch("policy", "show", "router-core", "--json").json["params"]
    weights = dict.fromkeys(params["modelWeights"], 0.0)
    file = tmp_path / "params.json"
    file.write_text(json.dumps({**params, "modelWeights": {**weights, next(iter(weights)): 1.0}}))
    refused = cogorch("policy", "propose", "router-core", "--params", file, "--json")
    assert (refused.code, refused.json["reason"]) == (3, "guard_violated")
    assert "weight-cap@1.0.0: arm" in refused.json["refusal"]["message"]

    holds = cogorch("guard", "test", "router-core@1.0.0", "--json")
    assert holds.code == 0
    assert [each["guard"] for each in holds.json["rules"]] == ["weight-cap@1.0.0"]
    strict = tmp_path / "strict.rego"
    text = CAP.read_text().replace("0.9, for", "0.5, for").replace("weight > 0.9", "weight > 0.5")
    strict.write_text(text[: text.index("#   examples:")] + text[text.index("package") :])
    objects = cogorch("guard", "test", "router-core@1.0.0", "--rule", strict, "--step", "activate", "--json")
    assert objects.code == 1
    assert objects.json["rules"][0]["messages"] == ["arm digits-ensemble has weight 0.6, above 0.9"]
    table = cogorch("guard", "test", "router-core@1.0.0", "--rule", strict)
    assert "objects" in table.out
    assert cogorch("guard", "test", "router-core@1.0.0", "--step", "never").code == 2
    assert cogorch("guard", "propose", "router-core", CAP).code == 2
