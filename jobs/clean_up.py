"""Everything that grows is bounded here: raw hours, unnamed files, undecided drafts, checkpoints, graphs, old runs.

Of searches, see `tuning/clean_up.py`; of reward models, `registry/retention.py`.
"""

from datetime import UTC, datetime, timedelta

import dagster as dg
from pydantic import Field

from jobs.lanes import UPKEEP
from jobs.run_trimming import trim_runs
from resources.installation import CogorchResource


class CleanUpConfig(dg.Config):
    """How long things are kept that the settings do not bound."""

    unreferenced_file_hours: int = Field(
        default=24, ge=1, le=8760, description="Files that no hour names; must exceed the longest run."
    )
    undecided_draft_days: int = Field(default=14, ge=1, le=365, description="Candidates without a decision.")


class CheckpointsConfig(dg.Config):
    """How much of the agents' trainings is kept."""

    keep: int = Field(default=20, ge=1, le=10_000, description="Newest checkpoints of each agent.")
    open_training_days: int = Field(default=7, ge=1, le=365, description="Trainings that nobody went on with.")


class CausesConfig(dg.Config):
    """How much of what was found about causes is kept."""

    keep: int = Field(default=100, ge=1, le=10_000, description="Newest versions of each component's graph.")


class StudiesConfig(dg.Config):
    """How long the searches of hyperparameters and architectures are kept."""

    unfinished_days: int = Field(default=14, ge=1, le=365, description="Since they began, if nobody works on them.")
    finished_days: int = Field(default=90, ge=1, le=3650, description="Since their result.")


class RegistryConfig(dg.Config):
    """How much of what was registered is kept; for how long, the settings say."""

    newest_reward_models: int = Field(default=10, ge=1, le=10_000, description="Of each policy, whatever their age.")


class TrimConfig(dg.Config):
    """How much of Dagster's history is kept."""

    run_days: int = Field(default=7, ge=1, le=365, description="Finished runs that hold no latest materialisation.")
    most_runs: int = Field(default=5000, ge=1, le=100_000, description="At most so many are deleted at once.")
    budget_s: int = Field(default=300, ge=1, le=1500, description="Stop after so many seconds; the next time goes on.")


@dg.op(out=dg.Out(dg.Nothing))
def drop_old_hours(context: dg.OpExecutionContext, cogorch: CogorchResource) -> None:
    """Drops raw hours past the retention whose rollups are kept and current."""
    from cogorch_dagster.observations import retention
    from cogorch_dagster.rewards import materialise

    dropped = retention.drop_expired(cogorch.settings, materialise.stale_hours)
    context.add_output_metadata(
        {
            "hours_dropped": len(dropped.hours),
            "hours_waiting_for_their_rollup": len(dropped.waiting),
            "quarantine_files_deleted": dropped.quarantine_files,
        }
    )


@dg.op(ins={"after": dg.In(dg.Nothing)}, out=dg.Out(dg.Nothing))
def delete_unreferenced_files(context: dg.OpExecutionContext, config: CleanUpConfig, cogorch: CogorchResource) -> None:
    """Deletes the files of the lake that no hour names: what crashes and recomputation left."""
    from cogorch_dagster.lake import files

    deleted = files.delete_unreferenced(cogorch.settings, timedelta(hours=config.unreferenced_file_hours))
    context.add_output_metadata({"files_deleted": deleted})


@dg.op(ins={"after": dg.In(dg.Nothing)}, out=dg.Out(dg.Nothing))
def expire_undecided_drafts(context: dg.OpExecutionContext, config: CleanUpConfig, cogorch: CogorchResource) -> None:
    """Expires candidates that nobody decided on; their evidence is too old by then."""
    from cogorch_dagster.platform.database import transaction
    from cogorch_dagster.policies import drafts

    with transaction(cogorch.settings) as connection:
        expired = drafts.expire_drafts(connection, timedelta(days=config.undecided_draft_days))
    context.add_output_metadata({"expired": ", ".join(version.ref for version in expired) or "none"})


@dg.op(ins={"after": dg.In(dg.Nothing)}, out=dg.Out(dg.Nothing))
def forget_old_checkpoints(context: dg.OpExecutionContext, config: CheckpointsConfig, cogorch: CogorchResource) -> None:
    """Forgets all but the newest checkpoints of each agent, their files, and trainings that were left open."""
    from cogorch_dagster.agents import store
    from cogorch_dagster.agents.training import abandoned
    from cogorch_dagster.platform.database import transaction
    from cogorch_dagster.tuning.clean_up import checkpoints_in_use

    with transaction(cogorch.settings) as connection:
        in_use = checkpoints_in_use(connection)
    pruned = store.prune(cogorch.settings, config.keep, in_use)
    trainings = abandoned.delete_abandoned(cogorch.settings, timedelta(days=config.open_training_days))
    context.add_output_metadata(
        {
            "checkpoints_forgotten": pruned.checkpoints,
            "files_deleted": pruned.files,
            "open_trainings_deleted": trainings,
        }
    )


@dg.op(ins={"after": dg.In(dg.Nothing)}, out=dg.Out(dg.Nothing))
def forget_old_graphs(context: dg.OpExecutionContext, config: CausesConfig, cogorch: CogorchResource) -> None:
    """Forgets all but the newest graphs of each component, with what was found by them and their data sets."""
    from cogorch_dagster.causal.versions import datasets, store
    from cogorch_dagster.platform.database import transaction

    with transaction(cogorch.settings) as connection:
        versions = store.prune(connection, config.keep)
    removed = datasets.prune(cogorch.settings, newest=1)
    context.add_output_metadata({"graphs_forgotten": versions, "datasets_removed": removed})


@dg.op(ins={"after": dg.In(dg.Nothing)}, out=dg.Out(dg.Nothing))
def forget_old_studies(context: dg.OpExecutionContext, config: StudiesConfig, cogorch: CogorchResource) -> None:
    """Forgets searches that were left, and old ones with a result, with the states of their paused trials."""
    from cogorch_dagster.tuning.clean_up import clear

    cleared = clear(
        cogorch.settings,
        unfinished=timedelta(days=config.unfinished_days),
        finished=timedelta(days=config.finished_days),
    )
    context.add_output_metadata(
        {"studies_forgotten": ", ".join(cleared.studies) or "none", "files_deleted": cleared.files}
    )


@dg.op(ins={"after": dg.In(dg.Nothing)}, out=dg.Out(dg.Nothing))
def trim_dagster_history(context: dg.OpExecutionContext, config: TrimConfig) -> None:
    """Deletes old finished runs with their events and logs, except those that hold an asset's latest state."""
    trimmed = trim_runs(
        context.instance,
        older_than=datetime.now(UTC) - timedelta(days=config.run_days),
        most=config.most_runs,
        budget_s=config.budget_s,
    )
    context.add_output_metadata({"deleted": trimmed.deleted, "kept_for_their_assets": trimmed.kept})


@dg.op(ins={"after": dg.In(dg.Nothing)}, out=dg.Out(dg.Nothing))
def prune_registry(context: dg.OpExecutionContext, config: RegistryConfig, cogorch: CogorchResource) -> None:
    """Removes old reward models that are not in use, and what killed registrations left."""
    from cogorch_dagster.features.reward_registry import retention
    from cogorch_dagster.registry.pruning import prune

    pruned = prune(cogorch.settings, [retention(cogorch.settings, config.newest_reward_models)])
    context.add_output_metadata(
        {
            "versions_removed": ", ".join(pruned.versions) or "none",
            "unfinished_registrations_removed": pruned.runs,
            "files_deleted": pruned.files,
        }
    )


@dg.job(tags=UPKEEP)
def clean_up() -> None:
    """Keeps the installation from growing without bound. Every step may be repeated, and stops by itself."""
    files_deleted = delete_unreferenced_files(after=drop_old_hours())
    drafts_expired = expire_undecided_drafts(after=files_deleted)
    studies_forgotten = forget_old_studies(after=drafts_expired)
    # Which name the checkpoints that their trials act beside.
    checkpoints_forgotten = forget_old_checkpoints(after=studies_forgotten)
    trimmed = trim_dagster_history(after=forget_old_graphs(after=checkpoints_forgotten))
    # Last, so that a registry that cannot be reached keeps nothing else from being done.
    prune_registry(after=trimmed)
