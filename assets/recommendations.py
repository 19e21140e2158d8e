"""What the trained agents recommend, as drafts that wait for a decision: the same drafts, and the same gate, as any."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import dagster as dg
from pydantic import Field

from assets.agent_checkpoints import agent_checkpoints
from assets.coordination import coordination
from assets.presentation import shown, table
from resources.installation import CogorchResource

if TYPE_CHECKING:
    from cogorch_dagster.policies.store import PolicyVersion
    from cogorch_dagster.proposals.drafts import Proposal, Refusal
    from cogorch_dagster.settings import Settings

COLUMNS = {
    "policy": "id of the policy",
    "outcome": "proposed, kept (it waits already) or the reason of a refusal",
    "candidate": "version that waits for a decision",
    "changed": "parameters",
    "reward": "simulated difference per step to the active version, in fresh fleets",
    "ci95": "its 95 % interval",
    "method": "off_policy where the logs alone carry it; else simulated, and a person decides in every mode",
    "agreement": "whether simulation and logs see the same sign",
}
METRIC_COLUMNS = {
    "candidate": "policy and version",
    "metric": "in the simulated fleets",
    "active": "with the version in force",
    "recommended": "with the candidate",
    "difference": "recommended minus active",
    "ci95": "95 % interval over seeds",
    "answer": "better, worse or undecided",
}
KINDS = ("router", "autoscaler")


class RecommendationConfig(dg.Config):
    """For which policies, and when a candidate that waits is replaced."""

    policies: list[str] = Field(default=[], description="Ids of router and autoscaler policies; empty: all in force.")
    seed: int = Field(default=0, ge=0, le=2**63 - 1, description="Of the fleets that are simulated.")
    keep_waiting_minutes: int = Field(
        default=360, ge=0, le=100_000, description="A candidate younger than this is left to those who decide."
    )
    minimum_gain: float = Field(default=0.005, ge=0, le=1, description="Of the interval's lower end, reward per step.")
    fleets: int = Field(default=64, ge=1, le=10_000, description="That the agents steer to what they recommend.")
    fresh_seeds: int = Field(default=20, ge=5, le=1000, description="On which documents are compared.")


@dg.asset(
    deps=[agent_checkpoints, coordination],
    group_name="agents",
    kinds={"pytorch", "postgres"},
    owners=["team:learning"],
)
def recommendations(
    context: dg.AssetExecutionContext, config: RecommendationConfig, cogorch: CogorchResource
) -> dg.MaterializeResult[None]:
    """Drafts of policy versions from the settings that the trained agents arrive at, with evidence, or why none.

    The agents steer calibrated fleets from the versions in force; what they come to, at most a limited step away, is
    then simulated as a document beside the active one, and held against the logs where these can tell. Refusals are
    normal results, named below. The drafts are policy_versions like any other: they wait in the same gate.
    """
    from cogorch_dagster.agents import store
    from cogorch_dagster.agents.recommendation.limits import Limits
    from cogorch_dagster.agents.recommendation.recommend import recommend
    from cogorch_dagster.agents.training import joint_checkpoints, kept_training
    from cogorch_dagster.errors import InvalidInput
    from cogorch_dagster.fleet.calibration import store as calibrations
    from cogorch_dagster.platform.database import transaction

    settings = cogorch.settings
    with transaction(settings) as connection:
        latest = calibrations.latest(connection)
    if latest is None:
        return dg.MaterializeResult(
            metadata={"outcome": "uncalibrated: the agents learned in the default fleet, which is nobody's"}
        )
    groups, waiting = _groups(settings, config)
    rows: list[dict[str, object]] = [_kept_row(each) for each in waiting]
    notes = [f"- **{each.policy_id}**: {each.ref} waits for a decision" for each in waiting]
    agents = kept_training.stored_agents(settings) if groups else {}
    drafts: list[PolicyVersion] = []
    try:
        for ids in groups:
            answers = recommend(
                settings,
                ids,
                kept_training.stored_controller(settings, agents),
                latest,
                limits=Limits(minimum_gain=config.minimum_gain, fleets=config.fleets, seeds=config.fresh_seeds),
                seed=config.seed,
                run_id=context.run_id,
                checkpoints={agent: each.digest for agent, each in agents.items()},
                weights=joint_checkpoints.configuration_of(store.load(settings, agents["policy"])).weights,
            )
            for policy_id, answer in zip(ids, answers, strict=True):
                row, note, draft = _answered(policy_id, answer)
                rows.append(row)
                notes.append(f"- **{policy_id}**: {note}")
                drafts += [draft] if draft is not None else []
    except InvalidInput as error:
        raise dg.Failure(description=str(error), allow_retries=False) from error
    shared: dict[str, dg.MetadataValue] = {
        "recommendations": table(rows, COLUMNS),
        "simulated": table([row for each in drafts for row in _metric_rows(each)], METRIC_COLUMNS, limit=100),
    }
    if drafts:
        # They are drafts of that asset, which shows those of the learning loop itself.
        context.log_event(dg.AssetObservation(asset_key="policy_versions", metadata=shared))
    outcome = "; ".join(f"{row['policy']}: {row['outcome']}" for row in rows) or "no router or autoscaler is in force"
    context.log.info(outcome)
    return dg.MaterializeResult(
        metadata={
            "outcome": dg.MetadataValue.text(outcome),
            **shared,
            "notes": dg.MetadataValue.md("\n".join(notes) or "none"),
            "next": dg.MetadataValue.md(
                "\n".join(f"    cogorch policy approve {each.ref} --reason '...'" for each in drafts)
                or "Nothing to decide."
            ),
            "calibration": dg.MetadataValue.text(latest.digest),
            "checkpoints": dg.MetadataValue.json({agent: each.digest for agent, each in agents.items()}),
        }
    )


def _groups(settings: "Settings", config: RecommendationConfig) -> "tuple[list[list[str]], list[PolicyVersion]]":
    """Policies that are asked for together, and the candidates that are left waiting.

    The simulated fleet has one router: the first is asked for with all autoscalers, each further one by itself.
    """
    from cogorch_dagster.platform.database import transaction
    from cogorch_dagster.policies import store

    with transaction(settings) as connection:
        active = {kind: [each.policy_id for each in store.active_of_kind(connection, kind)] for kind in KINDS}
        drafts = store.versions(connection, status="draft")
    known = [name for names in active.values() for name in names]
    asked = config.policies or known
    youngest = datetime.now(UTC) - timedelta(minutes=config.keep_waiting_minutes)
    waiting = [each for each in drafts if each.policy_id in asked and each.created_at > youngest]
    left = [name for name in asked if name not in {each.policy_id for each in waiting}]
    # One that is not in force, or of another kind, is refused by its name.
    first, *others = [name for name in left if name not in active["autoscaler"]] or [""]
    scaled = [name for name in left if name in active["autoscaler"]]
    together = [*([first] if first else []), *scaled]
    return [*([together] if together else []), *([name] for name in others)], waiting


def _answered(policy_id: str, answer: "Proposal | Refusal") -> "tuple[dict[str, object], str, PolicyVersion | None]":
    from cogorch_dagster.proposals.drafts import Refusal

    if isinstance(answer, Refusal):
        return {"policy": policy_id, "outcome": answer.reason, **_numbers(answer.evidence)}, answer.message, None
    version = answer.version
    decided = f"approved by {answer.decision.actor}" if answer.decision else "waits for a decision"
    outcome = "proposed" if answer.created else "kept"
    row = {"policy": policy_id, "outcome": outcome, "candidate": version.version, **_numbers(version.evidence or {})}
    return row, f"{version.ref} {decided}", version


def _kept_row(version: "PolicyVersion") -> dict[str, object]:
    numbers = _numbers(version.evidence or {})
    return {"policy": version.policy_id, "outcome": "kept", "candidate": version.version, **numbers}


def _numbers(evidence: Mapping[str, Any]) -> dict[str, object]:
    """What the evidence says of a recommendation, as far as it came; other proposals have other evidence."""
    reward = evidence.get("simulated", {}).get("metrics", {}).get("reward")
    changed = evidence.get("recommendation", evidence).get("changed", [])
    return {
        "changed": ", ".join(changed),
        "reward": shown(reward["difference"]) if reward else None,
        "ci95": _interval(reward["ci95"]) if reward else "",
        "method": evidence.get("method", ""),
        "agreement": evidence.get("agreement", {}).get("said", ""),
    }


def _metric_rows(version: "PolicyVersion") -> list[dict[str, object]]:
    metrics = (version.evidence or {}).get("simulated", {}).get("metrics", {})
    return [
        {
            "candidate": version.ref,
            "metric": f"{name}, {each['unit']} ({each['better']})",
            "active": shown(each["active"]),
            "recommended": shown(each["recommended"]),
            "difference": shown(each["difference"], 3),
            "ci95": _interval(each["ci95"]),
            "answer": each["answer"],
        }
        for name, each in metrics.items()
    ]


def _interval(ends: Sequence[float]) -> str:
    return f"{ends[0]:.4f} to {ends[1]:.4f}"
