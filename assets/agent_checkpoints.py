"""The four agents, trained together in the simulated fleet: one partition for each, one training for all."""

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import dagster as dg
from pydantic import Field

from assets.agent_partitions import BY_AGENT
from assets.fleet_calibration import fleet_calibration
from assets.partitions import IN_ONE_RUN
from assets.presentation import moment, picture, shown, table
from resources.installation import CogorchResource

if TYPE_CHECKING:
    from cogorch_dagster.agents.store import StoredCheckpoint
    from cogorch_dagster.agents.training.joint import JointTraining
    from cogorch_dagster.agents.training.joint_configuration import JointConfiguration
    from cogorch_dagster.agents.training.kept_training import KeptTraining
    from cogorch_dagster.fleet.parameters import FleetParameters
    from cogorch_dagster.fleet.signals import AgentName
    from cogorch_dagster.settings import Settings

CURVE_COLUMNS = {
    "steps": "of all fleets at once",
    "reward": "per step, without exploration, on fleets that training does not meet",
    "training_reward": "per step since the last evaluation, with exploration",
    "latency": "ms, mean of the answered",
    "success": "share of the requests",
    "unfairness": "largest difference between two tenants' shares of good answers",
    "violations": "share of the promises that are broken",
    "cost": "USD of a useful answer",
}


class TrainingConfig(dg.Config):
    """How long to train and on how much; what is left out has the default of the training."""

    fleets: int | None = Field(default=None, ge=1, le=100_000, description="Simulated at once.")
    steps: int | None = Field(default=None, ge=1, le=10**9, description="Of all fleets at once.")
    minutes: float = Field(
        default=20, gt=0, le=22, description="Ends there at the latest, the best so far is stored; a run may last 30."
    )
    seed: int = Field(default=0, ge=0, le=2**63 - 1, description="Of everything random.")
    evaluate_every: int | None = Field(default=None, ge=1, le=10**9, description="Steps between two evaluations.")
    validation_seeds: int | None = Field(default=None, ge=1, le=1000, description="Of an evaluation.")
    resume: bool = Field(
        default=True,
        description="Go on with the training of the same settings in the same calibration that was stopped or killed.",
    )


@dg.asset(
    partitions_def=BY_AGENT,
    backfill_policy=IN_ONE_RUN,
    deps=[fleet_calibration],
    group_name="agents",
    kinds={"pytorch", "postgres"},
    owners=["team:learning"],
)
def agent_checkpoints(
    context: dg.AssetExecutionContext, config: TrainingConfig, cogorch: CogorchResource
) -> dg.MaterializeResult[None]:
    """The best policy, consensus, ethical and resource agent of a joint training, as checkpoints in the lake.

    The four learn side by side from one shared reward, so there is one training for all of them: whichever partitions
    a run names, all four agents are trained, stored and reported, and no agent is mixed with others than it learned
    with. Everything is written to a file after each evaluation. A run that is stopped or killed leaves the stored
    checkpoints as they were, and the next one with the same settings in the same calibration goes on from that file.

    Hyperparameters are those in force, where an agent has a policy of them; the metadata name the versions.
    """
    from cogorch_dagster.agents.hyperparameters import training_settings, versions_in_force
    from cogorch_dagster.agents.training.kept_training import train_and_keep
    from cogorch_dagster.errors import Refused
    from cogorch_dagster.platform.database import transaction

    settings = cogorch.settings
    parameters, calibration = _fleet(settings)
    with transaction(settings) as connection:
        versions = versions_in_force(connection)
    configuration = _configuration(config, training_settings(versions))
    resumed = _open_training(context, settings, parameters, configuration) if config.resume else None
    begun = time.monotonic()
    try:
        found = train_and_keep(
            settings,
            parameters,
            configuration,
            resume=resumed,
            progress=lambda now: context.log.info(
                f"step {now.steps} of {now.total}: reward {now.point['reward']:.4f}{', the best so far' * now.best}"
            ),
            stop=lambda: time.monotonic() - begun > 60 * config.minutes,
            store_stopped=True,
            run_id=context.run_id,
        )
    except Refused as refusal:
        raise dg.Failure(description=f"{refusal.reason}: {refusal}", allow_retries=False) from refusal
    if not found.agents:
        raise dg.Failure(
            description=f"the {config.minutes:g} minutes ended before the first evaluation, at step "
            f"{found.training.steps}; give more, or evaluate earlier than every {configuration.evaluate_every} steps. "
            "The next run goes on from here.",
            allow_retries=False,
        )
    seconds = time.monotonic() - begun
    metadata = _metadata(found, calibration=calibration, seconds=seconds, resumed=resumed is not None)
    metadata["hyperparameters"] = dg.MetadataValue.json({agent: each.ref for agent, each in versions.items()})
    metadata["registry"] = _registered(context, settings, found, {agent: each.ref for agent, each in versions.items()})
    for agent, stored in found.agents.items():
        own = _own(stored)
        if agent in context.partition_keys:
            context.add_asset_metadata(own, partition_key=agent)
        else:
            context.log_event(dg.AssetMaterialization(context.asset_key, partition=agent, metadata={**metadata, **own}))
    return dg.MaterializeResult(metadata=metadata)


def _registered(
    context: dg.AssetExecutionContext,
    settings: "Settings",
    found: "KeptTraining",
    versions: "Mapping[AgentName, str]",
) -> dg.TextMetadataValue:
    """Enter the agents into the registry; they are stored already, so one that cannot be reached costs only that."""
    from cogorch_dagster.errors import CogorchError
    from cogorch_dagster.tuning.registration import register_agents

    try:
        made = register_agents(settings, found.agents, found.training.parameters, policy_versions=versions)
    except CogorchError as error:
        context.log.warning(f"The agents are stored, but not registered: {error}")
        return dg.MetadataValue.text(f"not registered: {error}")
    return dg.MetadataValue.text(", ".join(f"{each.name} {each.version}" for each in made.values()))


def _fleet(settings: "Settings") -> "tuple[FleetParameters, str]":
    """What to train in, and the calibration's digest."""
    from cogorch_dagster.fleet.calibration import store
    from cogorch_dagster.fleet.parameters import default_parameters
    from cogorch_dagster.platform.database import transaction

    with transaction(settings) as connection:
        latest = store.latest(connection)
    return (latest.parameters, latest.digest) if latest else (default_parameters(), "none: documented defaults")


def _configuration(config: TrainingConfig, settings: "Mapping[AgentName, Mapping[str, Any]]") -> "JointConfiguration":
    from cogorch_dagster.agents.training.joint_configuration import JointConfiguration

    names = ("fleets", "steps", "evaluate_every", "validation_seeds")
    given: dict[str, Any] = {name: getattr(config, name) for name in names if getattr(config, name) is not None}
    return JointConfiguration(**given, seed=config.seed, settings=settings)


def _open_training(
    context: dg.AssetExecutionContext,
    settings: "Settings",
    parameters: "FleetParameters",
    configuration: "JointConfiguration",
) -> str | None:
    """The file of this training if it was begun and can be read."""
    from cogorch_dagster.agents import checkpoints
    from cogorch_dagster.agents.training.kept_training import resumable
    from cogorch_dagster.errors import InvalidInput

    try:
        path = resumable(settings, parameters, configuration)
    except InvalidInput:
        return None
    try:
        steps = checkpoints.read(path).steps
    except InvalidInput as error:
        context.log.warning(f"The open training cannot be gone on with, so it begins again: {error}")
        return None
    context.log.info(f"Going on from {path} at {steps} steps of single fleets.")
    return path


def _metadata(found: "KeptTraining", *, calibration: str, seconds: float, resumed: bool) -> dict[str, dg.MetadataValue]:
    training = found.training
    best = training.best_point
    ended = "ended" if found.ended else "stopped by the clock; the next run goes on"
    metadata: dict[str, dg.MetadataValue] = {
        "outcome": dg.MetadataValue.text(
            f"{training.steps} of {training.configuration.steps} steps, {ended}; best reward {best['reward']:.4f} "
            f"after {int(best['steps'])}"
        ),
        "steps": dg.MetadataValue.int(training.steps),
        "fleet_steps": dg.MetadataValue.int(training.fleet_steps),
        "fleets": dg.MetadataValue.int(training.configuration.fleets),
        "seconds": dg.MetadataValue.float(round(seconds, 1)),
        "resumed": dg.MetadataValue.bool(resumed),
        "seed": dg.MetadataValue.int(training.configuration.seed),
        "device": dg.MetadataValue.text(str(training.device)),
        "calibration": dg.MetadataValue.text(calibration),
        "parameters_digest": dg.MetadataValue.text(training.parameters.digest),
        "configuration": dg.MetadataValue.json(training.configuration.document()),
        "curve": table(
            [{name: shown(value) for name, value in point.items()} for point in training.curve], CURVE_COLUMNS
        ),
    }
    if len(training.curve) > 1:
        metadata["learning_curves"] = _curves(training)
    return metadata


def _curves(training: "JointTraining") -> dg.MarkdownMetadataValue:
    import numpy as np

    from cogorch_dagster.agents.comparison.comparison_figure import learning_curves

    each = training.configuration.evaluate_every * training.configuration.fleets
    names = {"as they act": "reward", "while exploring": "training_reward"}
    curves = {label: np.array([point[name] for point in training.curve]) for label, name in names.items()}
    return picture(learning_curves(curves, steps_per_point=each), "mean reward while training")


def _own(stored: "StoredCheckpoint") -> dict[str, Any]:
    """What differs between the agents of one training."""
    return {
        "checkpoint": stored.digest,
        "agent": stored.agent,
        "algorithm": stored.algorithm,
        "bytes": stored.bytes,
        "taken": moment(stored.created_at),
    }
