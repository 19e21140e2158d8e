"""`cogorch agents`: the four agents that steer the simulated fleet: train, evaluate, compare, list."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cogorch_dagster.cli import agents_serving, agents_training
from cogorch_dagster.cli.output import JsonOption, Output, examples, fields, load_settings, say, table
from cogorch_dagster.cli.pictures import require_image, write_picture
from cogorch_dagster.cli.training_options import CalibrationOption, names_of, parameters_of

if TYPE_CHECKING:
    from cogorch_dagster.agents.store import StoredCheckpoint
    from cogorch_dagster.agents.training.joint_controller import JointController
    from cogorch_dagster.settings import Settings

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="The four agents that steer the simulated fleet.",
    epilog=examples("cogorch agents train --steps 3000", "cogorch agents compare --baselines static,q-learning"),
)

SeedsOption = Annotated[int, typer.Option(min=2, max=1000, help="Fresh seeds.")]
FirstSeedOption = Annotated[int, typer.Option(min=0, max=2**32, help="The first of them.")]
CheckpointOption = Annotated[
    list[str] | None,
    typer.Option(metavar="DIGEST", help="A stored checkpoint, one for each agent; default: each agent's newest."),
]

agents_training.register(app)


@app.command(
    short_help="How well they steer.",
    epilog=examples("cogorch agents evaluate --seeds 20", "cogorch agents evaluate --calibration default --json"),
)
def evaluate(
    checkpoint: CheckpointOption = None,
    seeds: SeedsOption = 20,
    first_seed: FirstSeedOption = 0,
    calibration: CalibrationOption = "latest",
    as_json: JsonOption = False,
) -> None:
    """Let the agents steer fresh fleets, without exploration, and print what comes of it per metric."""
    out = Output(as_json)
    settings = load_settings()
    parameters = parameters_of(settings, calibration)
    from cogorch_dagster.agents.comparison.contest import scored, summary
    from cogorch_dagster.agents.evaluation import METRICS
    from cogorch_dagster.agents.store import load
    from cogorch_dagster.agents.training.joint_checkpoints import configuration_of

    agents, controller = _agents(settings, checkpoint)
    configuration = configuration_of(load(settings, agents["policy"]))
    scores = scored(parameters, controller, range(first_seed, first_seed + seeds), configuration)
    means = summary(scores)

    def show() -> None:
        fields([(agent, f"{each.digest} ({each.steps:,} steps)") for agent, each in agents.items()])
        print()
        rows = [(m.name, means[m.name].value, means[m.name].low, means[m.name].high, m.unit) for m in METRICS]
        table(("metric", "mean", "low", "high", "unit"), rows, right=("mean", "low", "high"))
        print(f"Interquartile means over {seeds} seeds, with 95 % bootstrap intervals.")

    value = {"agents": {agent: each.digest for agent, each in agents.items()}, "scores": scores.as_dict()}
    out.result(value | {"summary": means}, show)


@app.command(
    short_help="Against the baselines.",
    epilog=examples("cogorch agents compare", "cogorch agents compare --baselines static,autoscaler --plot bars.png"),
)
def compare(
    checkpoint: CheckpointOption = None,
    baselines: Annotated[
        str,
        typer.Option(
            metavar="NAMES",
            help="Of static, autoscaler, q-learning, q-learning-greedy, q-learning-decaying, independent.",
        ),
    ] = "static,autoscaler,q-learning",
    seeds: SeedsOption = 20,
    first_seed: FirstSeedOption = 0,
    calibration: CalibrationOption = "latest",
    plot: Annotated[Path | None, typer.Option(metavar="PNG", help="Write the comparison there.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Compare the agents with baselines on the same fresh fleets, seed by seed; baselines that learn train first.

    Those have the agents' budget, so `independent` takes as long as a training.
    """
    out = Output(as_json)
    require_image(plot)
    settings = load_settings()
    parameters = parameters_of(settings, calibration)
    from cogorch_dagster.agents.comparison.contest import contest
    from cogorch_dagster.agents.comparison.contestants import require_known
    from cogorch_dagster.agents.store import load
    from cogorch_dagster.agents.training.joint_checkpoints import configuration_of

    names = names_of(baselines)
    require_known(names)
    agents, controller = _agents(settings, checkpoint)
    found = contest(
        parameters,
        controller,
        names,
        configuration_of(load(settings, agents["policy"])),
        seeds=range(first_seed, first_seed + seeds),
        told=say,
    )
    if plot is not None:
        write_picture(plot, found.picture())

    def show() -> None:
        for name in names:
            rows = [
                (each.bar.metric, f"{each.bar.improvement:.0%}", each.found, each.low, each.high, each.reached)
                for each in found.bars[name]
            ]
            print(f"against {name}, better by a share of")
            table(("metric", "bar", "found", "low", "high", "reached"), rows, right=("bar", "found", "low", "high"))
            for each in found.comparisons[name].values():
                print(f"  {each.verdict}")
            print()

    value = {"agents": {agent: each.digest for agent, each in agents.items()}, **found.document()}
    out.result(value, show)


@app.command("list", short_help="Their checkpoints.", epilog=examples("cogorch agents list --agent policy"))
def list_checkpoints(
    agent: Annotated[str | None, typer.Option(help="policy, consensus, ethical or resource; default: all.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Newest to show.")] = 20,
    as_json: JsonOption = False,
) -> None:
    """Stored checkpoints, the newest first."""
    out = Output(as_json)
    from cogorch_dagster.agents import store
    from cogorch_dagster.errors import InvalidInput
    from cogorch_dagster.fleet.signals import AGENTS

    if agent is not None and agent not in AGENTS:
        raise InvalidInput(f"there is no agent {agent!r}; the agents are {', '.join(AGENTS)}")
    found = store.listing(load_settings(), agent, limit=limit)

    def show() -> None:
        if not found:
            print("no checkpoint yet; run `cogorch agents train`")
            return
        rows = [
            (e.agent, e.algorithm, e.created_at, e.steps, e.metrics.get("reward"), e.bytes, e.digest) for e in found
        ]
        columns = ("agent", "algorithm", "created", "steps", "reward", "bytes", "digest")
        table(columns, rows, right=("steps", "reward", "bytes"))

    out.result({"checkpoints": found}, show)


agents_serving.register(app)


def _agents(settings: "Settings", digests: list[str] | None) -> "tuple[dict[Any, StoredCheckpoint], JointController]":
    """Stored agents, of the digests or the newest, and the controller of them."""
    from cogorch_dagster.agents import store
    from cogorch_dagster.agents.training import kept_training
    from cogorch_dagster.errors import InvalidInput
    from cogorch_dagster.fleet.signals import AGENTS

    if not digests:
        agents = kept_training.stored_agents(settings)
    else:
        named = {each.agent: each for each in (store.get(settings, digest) for digest in digests)}
        if sorted(named) != sorted(AGENTS) or len(digests) != len(AGENTS):
            raise InvalidInput(
                f"{len(digests)} checkpoints are given, of {', '.join(sorted(named))}; "
                f"give one for each of {', '.join(AGENTS)}"
            )
        agents = {agent: named[agent] for agent in AGENTS}
    return agents, kept_training.stored_controller(settings, agents)
