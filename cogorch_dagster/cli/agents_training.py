"""`cogorch agents train`: the joint training, what is shown of it meanwhile, and where its agents go."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cogorch_dagster.cli.output import JsonOption, Output, examples, fields, load_settings, say, table
from cogorch_dagster.cli.pictures import require_image, write_picture
from cogorch_dagster.cli.training_options import (
    CalibrationOption,
    parameters_of,
    stopping,
)

if TYPE_CHECKING:
    from cogorch_dagster.agents.training.joint import Progress
    from cogorch_dagster.agents.training.kept_training import KeptTraining
    from cogorch_dagster.fleet.signals import AgentName
    from cogorch_dagster.policies.store import PolicyVersion
    from cogorch_dagster.settings import Settings


def register(app: typer.Typer) -> None:
    """Add it to `cogorch agents`."""
    app.command(
        short_help="Train them together.",
        epilog=examples(
            "cogorch agents train",
            "cogorch agents train --steps 1000 --seed 7 --plot curve.png",
            "cogorch agents train --steps 1000 --seed 7 --resume",
        ),
    )(train)


def train(
    fleets: Annotated[int, typer.Option(min=1, max=100_000, help="Simulated at once.")] = 256,
    steps: Annotated[int, typer.Option(min=1, max=10**9, help="Of all fleets at once.")] = 3000,
    minutes: Annotated[float | None, typer.Option(min=0, help="Stop there at the latest; --resume goes on.")] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**63 - 1, help="Of everything random.")] = 0,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the training of the same options that was stopped or killed.")
    ] = False,
    calibration: CalibrationOption = "latest",
    register: Annotated[
        bool, typer.Option("--register/--no-register", help="Enter the agents into the registry (`cogorch registry`).")
    ] = True,
    plot: Annotated[Path | None, typer.Option(metavar="PNG", help="Write the learning curve there.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Train the four agents jointly in simulated fleets and store the best of them, one checkpoint for each.

    They are entered into the registry too, unless it cannot be reached or Ctrl-C ended the training.
    Their hyperparameters are those in force (policies agent-policy, agent-consensus, ...), where there are any.
    Everything is written to a file after each evaluation. Ctrl-C ends the training after its present step; --resume
    with the same options then goes on as if it had never stopped.
    """
    out = Output(as_json)
    require_image(plot)
    settings = load_settings()
    parameters = parameters_of(settings, calibration)
    # PyTorch takes seconds: a wrong argument is told before.
    from cogorch_dagster.agents import hyperparameters
    from cogorch_dagster.agents.training.joint_configuration import JointConfiguration
    from cogorch_dagster.agents.training.kept_training import resumable, train_and_keep

    versions = _hyperparameters(settings)
    own = hyperparameters.training_settings(versions)
    configuration = JointConfiguration(fleets=fleets, steps=steps, seed=seed, settings=own)
    path = resumable(settings, parameters, configuration) if resume else None
    with stopping(minutes) as (stop, interrupted), _progress(configuration.steps) as show:
        found = train_and_keep(
            settings, parameters, configuration, resume=path, progress=show, stop=stop, store_stopped=not interrupted()
        )
    refs = {agent: version.ref for agent, version in versions.items()}
    registered = _registered(settings, found, refs) if register and found.agents and not interrupted() else {}
    if plot is not None:
        _plot_curve(found, plot)
    value = _trained(found) | {"hyperparameters": refs, "registered": registered}
    out.result(value, lambda: _show_trained(found, registered))
    if interrupted():
        raise typer.Exit(130)


def _hyperparameters(settings: "Settings") -> "dict[AgentName, PolicyVersion]":
    """The versions in force, which are named."""
    from cogorch_dagster.agents.hyperparameters import versions_in_force
    from cogorch_dagster.platform.database import transaction

    with transaction(settings) as connection:
        found = versions_in_force(connection)
    say(f"hyperparameters: {', '.join(version.ref for version in found.values()) or 'those of the training itself'}")
    return found


def _registered(settings: "Settings", found: "KeptTraining", refs: "Mapping[AgentName, str]") -> "dict[AgentName, str]":
    """The agents' versions in the registry; they are stored already, so one that cannot be reached costs only that."""
    from cogorch_dagster.errors import CogorchError
    from cogorch_dagster.tuning.registration import register_agents

    say("entering the agents into the registry, which takes some seconds")
    try:
        made = register_agents(settings, found.agents, found.training.parameters, policy_versions=refs)
    except CogorchError as error:
        say(f"warning: the agents are stored, but not registered: {error}")
        return {}
    return {agent: each.ref for agent, each in made.items()}


@contextmanager
def _progress(total: int) -> "Iterator[Callable[[Progress], None]]":
    """A bar on a terminal, and a line for each evaluation."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    console = Console(stderr=True, highlight=False)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bar(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("reward -", total=total)

        def show(now: "Progress") -> None:
            point = now.point
            bar.update(task, completed=now.steps, description=f"reward {point['reward']:.3f}")
            line = (
                f"step {now.steps:>6}  reward {point['reward']:.4f}  latency {point['latency']:,.0f} ms  "
                f"success {point['success']:.3f}  unfairness {point['unfairness']:.3f}  "
                f"violations {point['violations']:.3f}  cost {point['cost']:.5f} USD{'  best' if now.best else ''}"
            )
            bar.console.print(line) if console.is_terminal else say(line)

        yield show


def _trained(found: "KeptTraining") -> dict[str, Any]:
    training = found.training
    return {
        "ended": found.ended,
        "steps": training.steps,
        "fleet_steps": training.fleet_steps,
        "calibration": training.parameters.digest,
        "best": training.best_point if training.best else None,
        "curve": training.curve,
        "agents": {agent: each.digest for agent, each in found.agents.items()},
        "resume_from": found.open,
        "configuration": training.configuration.document(),
    }


def _show_trained(found: "KeptTraining", registered: "Mapping[AgentName, str]") -> None:
    training = found.training
    if not found.ended:
        say(f"stopped at step {training.steps} of {training.configuration.steps}; everything is kept in {found.open}")
        say("go on with --resume and the same options")
    if training.best:
        best = training.best_point
        fields([(name, value) for name, value in best.items() if name != "training_reward"])
        print()
    rows = [
        (agent, each.algorithm, each.steps, registered.get(agent), each.digest) for agent, each in found.agents.items()
    ]
    if rows:
        table(("agent", "algorithm", "steps", "registered", "digest"), rows, right=("steps",))


def _plot_curve(found: "KeptTraining", path: Path) -> None:
    import numpy as np

    from cogorch_dagster.agents.comparison.comparison_figure import learning_curves

    training = found.training
    if not training.curve:
        say(f"{path} is not written: the training stopped before its first evaluation")
        return
    each = training.configuration.evaluate_every * training.configuration.fleets
    rewards = np.array([point["reward"] for point in training.curve])
    write_picture(path, learning_curves({"joint": rewards}, steps_per_point=each))
