"""A version's way through the command line: proposed, approved, activated, rolled back, traced, audited."""

import json
from pathlib import Path

import sqlalchemy as sa

from cogorch_dagster.platform.database import transaction
from cogorch_dagster.settings import Settings
from tests.cli.conftest import Run


def _params(cogorch: Run, tmp_path: Path) -> Path:
    """A file with the active parameters of router-core, two arms changed."""
    params = cogorch("policy", "show", "router-core", "--json").json["params"]
    arms = list(params["modelWeights"])
    params["modelWeights"] = {arm: (0.5 if arm in arms[:2] else 0.0) for arm in arms}
    file = tmp_path / "params.json"
    file.write_text(json.dumps(params))
    return file


def test_from_a_proposal_to_the_activation_and_back(cogorch: Run, seeded: Settings, tmp_path: Path) -> None:
    proposed = cogorch("policy", "propose", "router-core", "--params", _params(cogorch, tmp_path), "--json").json
    assert (proposed["ref"], proposed["status"], proposed["parent"]) == ("router-core@1.0.1", "draft", "1.0.0")
    assert {change["path"].partition(".")[0] for change in proposed["changes"]} == {"modelWeights"}

    refused = cogorch("policy", "activate", "router-core@1.0.1", "--json")
    assert (refused.code, refused.json["error"]["reason"]) == (3, "not_approved")

    wrong = cogorch("policy", "approve", "router-core@1.0.1", "--reason", "r", "--digest", "sha256:0", "--json")
    assert (wrong.code, wrong.json["error"]["reason"]) == (3, "digest_mismatch")

    approved = cogorch(
        *("policy", "approve", "router-core@1.0.1", "--reason", "cheaper"), "--digest", proposed["digest"], "--json"
    )
    assert approved.code == 0
    assert (approved.json["action"], approved.json["actor"], approved.json["reason"]) == ("approve", "ann", "cheaper")
    assert "cogorch policy activate router-core@1.0.1" in approved.err
    listed = {each["policy_id"]: each for each in cogorch("policy", "list", "--json").json["policies"]}
    assert listed["router-core"]["active"] == "1.0.0"
    assert listed["router-core"]["waiting"]["version"] == "1.0.1"

    active = cogorch("policy", "activate", "router-core@1.0.1", "--json").json
    assert (active["version"], active["previous"]) == ("1.0.1", "1.0.0")
    again = cogorch("policy", "activate", "router-core@1.0.1", "--json")
    assert (again.code, again.json["error"]["reason"]) == (3, "already_claimed")

    back = cogorch("policy", "rollback", "router-core@1.0.0", "--reason", "errors", "--json")
    assert (back.code, back.json["action"]) == (0, "rollback")
    assert cogorch("policy", "activate", "router-core@1.0.0", "--json").json["previous"] == "1.0.1"

    chain = cogorch("lineage", "router-core@1.0.1", "--json").json
    assert chain == cogorch("audit", "lineage", "router-core@1.0.1", "--json").json
    assert [decision["action"] for decision in chain["decisions"]] == ["approve"]
    assert chain["ancestors"] == ["router-core@1.0.0"]
    assert chain["problems"] == []
    events = [record["event"] for record in chain["records"]]
    assert events == ["version.proposed", "version.approved", "version.activated", "version.rolled_back"]

    shown = cogorch("lineage", "router-core@1.0.1")
    assert shown.code == 0
    for piece in ("router-core@1.0.1 (rolled_back)", "by ann: cheaper", proposed["digest"], "router-core@1.0.0"):
        assert piece in shown.out


def test_a_table_in_a_pipe_has_one_whole_line_per_row(cogorch: Run, seeded: Settings) -> None:
    ran = cogorch("policy", "list", COLUMNS="40")
    lines = ran.out.splitlines()
    assert lines[0].split() == ["policy", "kind", "component", "mode", "strictness", "active", "drafts", "decided"]
    agents = ["agent-consensus", "agent-ethical", "agent-policy", "agent-resource"]
    assert [line.split()[0] for line in lines[1:]] == [*agents, "reward-default", "reward-llm_router", "router-core"]
    assert lines == [line.rstrip() for line in lines]
    assert "router:core" in ran.out


def test_a_draft_is_shown_compared_and_rejected(cogorch: Run, seeded: Settings, tmp_path: Path) -> None:
    file = _params(cogorch, tmp_path)
    shown = cogorch("policy", "propose", "router-core", "--params", file)
    assert shown.code == 0
    assert "modelWeights" in shown.out
    assert "cogorch policy approve router-core@1.0.1" in shown.err
    against_parent = cogorch("policy", "diff", "router-core@1.0.1", "--json").json
    assert against_parent == cogorch("policy", "diff", "router-core@1.0.0", "router-core@1.0.1", "--json").json
    assert against_parent["from"] == "router-core@1.0.0"
    assert len(against_parent["changes"]) == 3
    assert cogorch("policy", "reject", "router-core@1.0.1", "--reason", "no").code == 0
    ran = cogorch("policy", "approve", "router-core@1.0.1", "--reason", "yes", "--json")
    assert (ran.code, ran.json["error"]["reason"]) == (3, "rejected")


def test_a_learned_proposal_without_decisions_is_refused_with_its_reason(cogorch: Run, seeded: Settings) -> None:
    ran = cogorch("policy", "propose", "router-core", "--json")
    assert ran.code == 3
    assert ran.json["reason"] == ran.json["refusal"]["reason"] == "too_few_decisions"
    assert ran.json["refusal"]["message"] in ran.err
    mixed = cogorch("policy", "propose", "router-core", "--params", "x.yaml", "--seed", "1")
    assert (mixed.code, mixed.out) == (2, "")
    assert "--seed belong to a learned proposal" in mixed.err


def test_a_parameter_file_that_cannot_be_used_is_named(cogorch: Run, seeded: Settings, tmp_path: Path) -> None:
    file = tmp_path / "params.yaml"
    for content in ("weights: [", "nonsense: 1\n"):
        file.write_text(content)
        ran = cogorch("policy", "propose", "router-core", "--params", file)
        assert ran.code == 2
        assert str(file) in ran.err
        assert "Traceback" not in ran.err


def test_the_kill_switch_stops_proposals(cogorch: Run, seeded: Settings, tmp_path: Path) -> None:
    file = _params(cogorch, tmp_path)
    off = cogorch("flags", "set", "learning.enabled", "false", "--reason", "incident 12", "--json")
    assert (off.json["name"], off.json["value"], off.json["updated_by"]) == ("learning.enabled", False, "ann")
    for arguments in ([], ["--params", file]):
        ran = cogorch("policy", "propose", "router-core", *arguments, "--json")
        assert (ran.code, ran.json["reason"]) == (3, "learning_disabled")
    record = cogorch("audit", "log", "--subject", "flag:learning.enabled", "--json").json["records"][0]
    assert record["payload"]["reason"] == "incident 12"


def test_the_mode_of_a_policy(cogorch: Run, seeded: Settings) -> None:
    ran = cogorch(
        *("policy", "mode", "router-core", "autonomous_threshold", "--threshold", "0.05"), "--reason", "r", "--json"
    )
    assert (ran.json["mode"], ran.json["threshold"]) == ("autonomous_threshold", 0.05)
    wrong = cogorch("policy", "mode", "router-core", "reckless", "--reason", "r")
    assert wrong.code == 2
    assert "autonomous_all" in wrong.err


def test_the_strictness_of_an_agents_hyperparameters(cogorch: Run, seeded: Settings, tmp_path: Path) -> None:
    params = cogorch("policy", "show", "agent-policy", "--json").json["params"]
    file = tmp_path / "params.json"
    file.write_text(json.dumps({**params, "learningRate": 0.006}))
    far = cogorch("policy", "propose", "agent-policy", "--params", file, "--json")
    assert (far.code, far.json["reason"]) == (3, "step_too_large")
    assert "level standard is x3" in far.json["refusal"]["message"]
    ran = cogorch("policy", "strictness", "agent-policy", "wide", "--reason", "a trial", "--json")
    assert (ran.code, ran.json["strictness"]) == (0, "wide")
    assert cogorch("policy", "propose", "agent-policy", "--params", file, "--json").json["status"] == "draft"

    assert cogorch("policy", "show", "agent-policy", "--json").json["policy"]["strictness"] == "wide"
    assert "strictness  wide" in cogorch("policy", "show", "agent-policy").out
    listed = {each["policy_id"]: each for each in cogorch("policy", "list", "--json").json["policies"]}
    assert {listed[name]["strictness"] for name in ("agent-policy", "agent-ethical")} == {"wide", "standard"}
    wrong = cogorch("policy", "strictness", "agent-policy", "lax", "--reason", "r")
    assert wrong.code == 2
    assert "'lax' is none of strict, standard, wide" in wrong.err


def test_audit_verify_finds_a_changed_record(cogorch: Run, seeded: Settings) -> None:
    sound = cogorch("audit", "verify", "--json").json
    assert (sound["ok"], sound["first_bad"]) == (True, None)
    assert sound["records"] > 5
    with transaction(seeded) as connection:
        connection.execute(sa.text("ALTER TABLE audit_log DISABLE TRIGGER USER"))
        connection.execute(sa.text("UPDATE audit_log SET actor = 'mallory' WHERE seq = 4"))
    broken = cogorch("audit", "verify", "--json")
    assert broken.code == 1
    assert (broken.json["ok"], broken.json["first_bad"]) == (False, 4)
    assert "record 4 was changed" in broken.err
    assert cogorch("audit", "verify", "--anchor", sound["head"]).code == 1
    assert cogorch("audit", "verify", "--anchor", "x").code == 2
