"""How the trained agents settle what they want of one fleet: equilibria, conflicts, vetoes, and their payoffs."""

from typing import TYPE_CHECKING

import dagster as dg
from pydantic import Field

from assets.agent_checkpoints import agent_checkpoints
from assets.presentation import picture, shown, table
from resources.installation import CogorchResource

if TYPE_CHECKING:
    from cogorch_dagster.games.coordination_result import CoordinationResult

STEP_COLUMNS = {
    "step": "of the fleet",
    "intended": "policy / consensus / ethical / resource, each by itself",
    "played": "the joint action that was settled on",
    "decided": "equilibrium, bargain or no operation",
    "concept": "pure nash, mixed nash or coarse correlated",
    "method": "that found it",
    "nash_conv": "what the agents could gain by deviating alone",
    "verified": "whether that is at most 1e-5 of the payoffs' range",
    "conflicts": "among the intentions and in the equilibrium",
    "vetoes": "joint actions not played for safety",
    "degraded": "agents that said nothing",
    "seconds": "of the step, wall time",
}
CONFLICT_COLUMNS = {
    "step": "of the fleet",
    "among": "intentions or equilibrium",
    "kind": "a declared pair of actions, or a loss",
    "agents": "whose",
    "reason": "in words",
    "loss": "of utility, 0 for a declared pair",
}
DIGESTS_SHOWN = 200


class CoordinationConfig(dg.Config):
    """How much is coordinated."""

    steps: int = Field(default=8, ge=1, le=1000, description="Of one fleet; about a second of a core each.")
    seed: int = Field(default=0, ge=0, le=2**62, description="Of the fleet and of what is simulated for decisions.")
    scenarios: int = Field(default=16, ge=1, le=4096, description="Futures that each joint action is simulated in.")
    limit_s: float = Field(default=10.0, gt=0, le=600, description="Of a step; what is not done by then is left out.")


@dg.asset(
    deps=[agent_checkpoints],
    group_name="agents",
    kinds={"python", "postgres"},
    owners=["team:learning"],
)
def coordination(
    context: dg.AssetExecutionContext, config: CoordinationConfig, cogorch: CogorchResource
) -> dg.MaterializeResult[None]:
    """Steps of a simulated fleet in which the trained agents' intentions are settled in a game, kept with their proof.

    The payoffs of all 2,000 joint actions are simulated with common random numbers, an equilibrium is computed and
    verified, conflicts left in it are settled by a bargain, and what would be dangerous is vetoed, with the reason.
    Each agent acts in a process of its own; one that fails degrades its step, which says so.
    """
    from cogorch_dagster.agents import store
    from cogorch_dagster.agents.training import joint_checkpoints, kept_training
    from cogorch_dagster.fleet.calibration import store as calibrations
    from cogorch_dagster.fleet.parameters import default_parameters
    from cogorch_dagster.games import store as coordinations
    from cogorch_dagster.games.agent_process import stored_sources
    from cogorch_dagster.games.coordinated_steps import coordinated_steps
    from cogorch_dagster.games.coordinator import CoordinationSettings
    from cogorch_dagster.games.payoff_figure import payoff_figure
    from cogorch_dagster.platform.database import transaction

    settings = cogorch.settings
    with transaction(settings) as connection:
        latest = calibrations.latest(connection)
    agents = kept_training.stored_agents(settings)
    trained = joint_checkpoints.configuration_of(store.load(settings, agents["policy"]))
    found = coordinated_steps(
        latest.parameters if latest else default_parameters(),
        stored_sources(settings),
        steps=config.steps,
        seed=config.seed,
        settings=CoordinationSettings(
            limit_s=config.limit_s, intentions_s=min(2.0, config.limit_s), scenarios=config.scenarios
        ),
        weights=trained.weights,
    )
    results = [each.result for each in found]
    with transaction(settings) as connection:
        coordinations.save(connection, results, context.run_id)
    outcome = _outcome(results)
    context.log.info(outcome)
    metadata: dict[str, dg.MetadataValue] = {
        "outcome": dg.MetadataValue.text(outcome),
        "steps": table([_row(step, each) for step, each in enumerate(results)], STEP_COLUMNS),
        "conflicts": table(_conflicts(results), CONFLICT_COLUMNS),
        "vetoes": dg.MetadataValue.md(_vetoes(results)),
        "degraded": dg.MetadataValue.md(_degraded(results)),
        "largest_relative_nash_conv": dg.MetadataValue.float(
            max((each.equilibrium.relative for each in results if each.equilibrium), default=0.0)
        ),
        "checkpoints": dg.MetadataValue.json({agent: each.digest for agent, each in agents.items()}),
        "coordinations": dg.MetadataValue.json([each.digest for each in results[:DIGESTS_SHOWN]]),
    }
    pictured = next((each for each in reversed(found) if each.game is not None), None)
    if pictured is not None and pictured.game is not None:
        metadata["payoffs"] = picture(payoff_figure(pictured.game, pictured.result), "payoffs of the last step")
    return dg.MaterializeResult(metadata=metadata)


@dg.asset_check(asset=coordination)
def equilibrium_verified(cogorch: CogorchResource) -> dg.AssetCheckResult:
    """Every step of the latest coordination was settled by an equilibrium whose proof holds, in time, by all agents.

    An equilibrium that is none is an error. One that was not found in time, a coarse correlated one in its place, or an
    agent that said nothing is a warning: the step was completed without it.
    """
    from cogorch_dagster.games import store as coordinations
    from cogorch_dagster.platform.database import transaction

    with transaction(cogorch.settings) as connection:
        newest = coordinations.listing(connection, limit=1)
        run = newest[0].run_id if newest else None
        kept = coordinations.listing(connection, run_id=run, limit=1000) if run else newest
    answers = [each.result["equilibrium"] for each in kept]
    wrong = sum(answer is not None and not answer["verified"] for answer in answers)
    missing = sum(answer is None for answer in answers)
    coarse = sum(answer is not None and answer["concept"] == "coarse correlated" for answer in answers)
    degraded = sum(len(each.result["degraded"]) for each in kept)
    counts = {
        "without a proof that holds": wrong,
        "without an equilibrium in time": missing,
        "with a coarse correlated one": coarse,
        "agents that said nothing": degraded,
    }
    said = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
    return dg.AssetCheckResult(
        passed=bool(kept) and not said,
        severity=dg.AssetCheckSeverity.ERROR if wrong else dg.AssetCheckSeverity.WARN,
        description=(f"Of {len(kept)} steps: {said}." if said else f"All {len(kept)} equilibria are verified.")
        if kept
        else "Nothing was coordinated yet.",
        metadata={
            "steps": len(kept),
            "largest_relative_nash_conv": max((answer["relative"] for answer in answers if answer), default=0.0),
        },
    )


def _outcome(results: "list[CoordinationResult]") -> str:
    verified = sum(bool(each.equilibrium and each.equilibrium.verified) for each in results)
    conflicts, vetoes = (sum(len(getattr(each, name)) for each in results) for name in ("conflicts", "vetoes"))
    degraded = sum(len(each.degraded) for each in results)
    return f"{verified} of {len(results)} equilibria verified; {conflicts} conflicts settled, {vetoes} vetoes" + (
        f", {degraded} times an agent said nothing" if degraded else ""
    )


def _row(step: int, result: "CoordinationResult") -> dict[str, object]:
    answer = result.equilibrium
    return {
        "step": step,
        "intended": " / ".join(result.intended.values()),
        "played": " / ".join(result.actions.values()),
        "decided": result.decided,
        "concept": answer.concept if answer else "none",
        "method": answer.method if answer else "",
        "nash_conv": shown(answer.nash_conv, 2) if answer else None,
        "verified": bool(answer and answer.verified),
        "conflicts": len(result.conflicts),
        "vetoes": len(result.vetoes),
        "degraded": ", ".join(each.agent for each in result.degraded),
        "seconds": shown(result.seconds["total"], 3),
    }


def _conflicts(results: "list[CoordinationResult]") -> list[dict[str, object]]:
    return [
        {
            "step": step,
            "among": each.among,
            "kind": each.conflict.kind,
            "agents": ", ".join(each.conflict.agents),
            "reason": each.conflict.reason,
            "loss": shown(each.conflict.loss, 3),
        }
        for step, result in enumerate(results)
        for each in result.conflicts
    ]


def _vetoes(results: "list[CoordinationResult]") -> str:
    return (
        "\n".join(
            f"- step {step}: {' / '.join(veto.actions.values())}: {'; '.join(veto.reasons)}"
            for step, result in enumerate(results)
            for veto in result.vetoes
        )
        or "none"
    )


def _degraded(results: "list[CoordinationResult]") -> str:
    return (
        "\n".join(
            f"- step {step}: {each.agent} ({each.reason}); instead {each.instead}: {each.action}"
            for step, result in enumerate(results)
            for each in result.degraded
        )
        or "none"
    )
