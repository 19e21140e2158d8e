"""How versions of policies look: as JSON, as a few lines, as the changes between two of them."""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from cogorch_dagster.cli.output import fields, table, text

if TYPE_CHECKING:
    from cogorch_dagster.policies.decisions import Decision
    from cogorch_dagster.policies.diff import Change
    from cogorch_dagster.policies.store import Policy, PolicyVersion


def listed(policy: "Policy", versions: "list[PolicyVersion]", waiting: "Decision | None") -> dict[str, Any]:
    """A policy with its versions and the decision that waits, for JSON."""
    own = [version for version in versions if version.policy_id == policy.policy_id]
    return {
        "policy_id": policy.policy_id,
        "kind": policy.kind,
        "component": policy.component,
        "mode": policy.mode,
        "threshold": policy.threshold,
        "strictness": policy.strictness,
        "active": next((version.version for version in own if version.status == "active"), None),
        "waiting": waiting
        and {"decision_id": waiting.decision_id, "action": waiting.action, "version": waiting.version},
        "versions": [
            {
                "version": version.version,
                "status": version.status,
                "digest": version.digest,
                "parent": version.parent,
                "created_at": version.created_at,
                "created_by": version.created_by,
                "activated_at": version.activated_at,
                "ended_at": version.ended_at,
            }
            for version in own
        ],
    }


def plain(version: "PolicyVersion") -> dict[str, Any]:
    """A version for JSON."""
    return {"ref": version.ref, **asdict(version), "digest_matches": version.digest_matches}


def show_version(version: "PolicyVersion") -> None:
    """Print what a version is, without its parameters."""
    fields(
        [
            ("version", f"{version.ref} ({version.status})"),
            ("component", version.component),
            ("proposed", f"{text(version.created_at)} by {version.created_by}, parent {version.parent or 'none'}"),
            ("activated", version.activated_at),
            ("digest", version.digest + ("" if version.digest_matches else "  DOES NOT MATCH THE PARAMETERS")),
            ("evidence", evidence_line(version.evidence)),
        ]
    )
    _show_estimates(version.evidence or {})


def show_rules(policy: "Policy") -> None:
    """Print who approves versions of a policy, and how far they may go."""
    threshold = f", threshold {policy.threshold:g}" if policy.mode == "autonomous_threshold" else ""
    fields([("mode", policy.mode + threshold), ("strictness", policy.strictness)])


def _show_estimates(evidence: dict[str, Any]) -> None:
    """Print what was simulated, the version's value by every estimator, and its difference from its parent by slice."""
    if simulated := evidence.get("simulated"):
        _show_simulated(simulated, evidence)
    if estimators := evidence.get("estimators"):
        rows = [(name, each["value"], _interval(each["ci95"])) for name, each in estimators.items()]
        table(("estimator", "value", "95 % interval"), rows, right=("value", "95 % interval"))
    if causal := evidence.get("causal"):
        _show_causal(causal)
    if slices := evidence.get("slices"):
        table(
            ("slice", "decisions", "difference", "interval", ""),
            [_slice(each) for each in slices],
            right=("decisions", "difference", "interval"),
        )


def _show_causal(found: dict[str, Any]) -> None:
    """Print what the graph of causes says of each changed parameter, and whether the log agrees."""
    print()
    if found["version"] is None:
        fields([("by the causal graph", found["agreement"]["said"])])
        return
    columns = ("before", "after", f"change of {found['outcome']}", "95 % interval")
    rows = [
        (
            *(each["parameter"], each["variable"], each["before"], each["after"], each["change"]),
            _interval(each["interval"]) if each["interval"] else None,
            each["said"],
        )
        for each in found["parameters"]
    ]
    table(("by the causal graph", "variable", *columns, ""), rows, right=columns)
    fields(
        [
            ("graph", f"{found['version'][:19]} on {found['rows']:,} rows"),
            *[("careful", warning) for warning in found["warnings"]],
            ("causes and log", found["agreement"]["said"]),
        ]
    )


def _show_simulated(simulated: dict[str, Any], evidence: dict[str, Any]) -> None:
    """Print where simulated evidence comes from, what it says of each metric, and what the logs say of it."""
    calibration, found = simulated["calibration"], evidence["recommendation"]
    verdicts = ", ".join(f"{count} {verdict}" for verdict, count in sorted(calibration["verdicts"].items()))
    logs = evidence["off_policy"]
    print()
    checkpoints = [f"{agent} {digest[:19]}" for agent, digest in sorted(found["checkpoints"].items())]
    fields(
        [
            ("controller", f"{found['controller']}; changes {', '.join(found['changed'])}"),
            *([("checkpoints", ", ".join(checkpoints))] if checkpoints else []),
            (
                "calibration",
                f"{calibration['digest'][:19]} on {calibration['rows']:,} rows; fits: {verdicts or 'none'}",
            ),
            *[("warning", warning) for warning in calibration["warnings"]],
            ("simulated on", f"{len(simulated['seeds'])} fresh seeds, {simulated['fleets_per_seed']} fleets each"),
            *([("by the logs", logs["message"])] if logs["message"] else []),
            *([("logs silent on", ", ".join(logs["silent_on"]))] if logs["silent_on"] else []),
            ("agreement", evidence["agreement"]["said"]),
        ]
    )
    rows = [
        (
            f"{name}, {each['unit']}",
            each["active"],
            each["recommended"],
            each["difference"],
            _interval(each["ci95"]),
            each["answer"],
        )
        for name, each in sorted(simulated["metrics"].items(), key=lambda row: (row[0] != "reward", row[0]))
    ]
    columns = ("simulated", "active", "recommended", "difference", "95 % interval")
    table((*columns, ""), rows, right=columns[1:])


def _slice(each: dict[str, Any]) -> tuple[object, ...]:
    name, apart = f"{each['slicing']} {each['label']}", each["difference"]
    if apart is None:
        refusal = each["refusal"]
        return name, each["decisions"], None, None, f"refused: {refusal['reason']}" if refusal else None
    said = "" if not apart["found"] else "better" if apart["value"] > 0 else "worse"
    return name, each["decisions"], apart["value"], _interval(apart["interval"]), said


def _interval(bounds: list[float]) -> str:
    return f"{text(bounds[0])} to {text(bounds[1])}"


def show_changes(title: str, changes: "list[Change]") -> None:
    """Print the parameters that differ."""
    print(title)
    if not changes:
        print("no difference")
        return
    table(
        ("parameter", "before", "after"),
        [(change.path, _value(change.before), _value(change.after)) for change in changes],
    )


def _value(value: object) -> object:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else value


def evidence_line(evidence: dict[str, Any] | None) -> str:
    """The gist of a version's evidence in one line."""
    if not evidence:
        return "none: proposed by a person or the seed"
    if evidence.get("method") == "simulated" and "simulated" in evidence:
        reward = evidence["simulated"]["metrics"]["reward"]
        low, high = reward["ci95"]
        return (
            f"simulated only, so a person decides: reward {reward['difference']:+.4f}, "
            f"95 % interval {low:+.4f} to {high:+.4f}, {len(evidence['simulated']['seeds'])} seeds"
        )
    interval = evidence.get("ci95")
    if not isinstance(interval, list) or len(interval) != 2 or "estimate" not in evidence:
        return brief(evidence)
    parts = [f"improvement {evidence['estimate']:+.4f}, 95 % interval {interval[0]:+.4f} to {interval[1]:+.4f}"]
    if (size := evidence.get("effective_sample_size")) is not None:
        parts.append(f"effective sample size {size:,.0f}")
    if (decisions := evidence.get("decisions")) is not None:
        parts.append(f"{decisions:,} decisions")
    return ", ".join(parts)


def brief(payload: dict[str, Any], limit: int = 100) -> str:
    """A JSON object in one short line."""
    shown = ", ".join(f"{name}={value}" for name, value in payload.items() if value is not None)
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"
