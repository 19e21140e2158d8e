"""`cogorch agents serve` and `cogorch agents updates`: agents that run, and what became of their updates."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cogorch_dagster.cli.output import JsonOption, Output, examples, fields, load_settings, say, table

if TYPE_CHECKING:
    from cogorch_dagster.fleet.signals import AgentName
    from cogorch_dagster.serving.beginning import Beginning
    from cogorch_dagster.serving.process import Progress, Served
    from cogorch_dagster.serving.reload import Reload
    from cogorch_dagster.serving.update import Earnings, Statistics, Update
    from cogorch_dagster.settings import Settings

FOREVER = "forever"


def register(app: typer.Typer) -> None:
    """Add both commands to `cogorch agents`."""
    app.command(
        short_help="Let them run, learn on, and take updates over.",
        epilog=examples(
            "cogorch agents serve",
            "cogorch agents serve --fleets 16 --agents policy,resource",
            "cogorch agents serve --steps 1000 --name trial --json",
        ),
    )(serve)
    app.command(
        short_help="What became of updates of their hyperparameters.",
        epilog=examples("cogorch agents updates", "cogorch agents updates policy --json"),
    )(updates)


def serve(
    fleets: Annotated[
        int | None,
        typer.Option(min=1, max=100_000, help="Simulated at once; default: as many as before, 16 for new agents."),
    ] = None,
    agents: Annotated[
        str, typer.Option(metavar="NAMES", help="Of policy, consensus, ethical, resource.")
    ] = "policy,consensus,ethical,resource",
    steps: Annotated[str, typer.Option(metavar="N|forever", help="Of all fleets at once.")] = FOREVER,
    name: Annotated[str, typer.Option(help="The next process of this name goes on where this one stopped.")] = "agents",
    seed: Annotated[int, typer.Option(min=0, max=2**63 - 1, help="Of the fleets and of new agents.")] = 0,
    checkpoint_every: Annotated[
        float, typer.Option(min=0.1, max=86_400, help="Seconds; a process that is killed goes on from the last.")
    ] = 60.0,
    as_json: JsonOption = False,
) -> None:
    """Let the agents act and go on learning in fleets of the latest calibration, and follow their hyperparameters.

    They begin from where the last process of the name stopped, or from their newest checkpoints where those are newer.
    An approved version is taken over between two steps, or refused with the reason; both is acknowledged. SIGTERM and
    Ctrl-C end the process after its present step, with everything kept.
    """
    out = Output(as_json)
    from cogorch_dagster.serving.process import Options
    from cogorch_dagster.serving.process import serve as run

    settings = load_settings()
    options = Options(
        name=name,
        agents=_agents(agents),
        fleets=fleets,
        steps=_steps(steps),
        seed=seed,
        checkpoint_every_s=checkpoint_every,
    )
    with _until_told() as stop:
        found = run(
            settings,
            _token(settings),
            options,
            stop=stop,
            began=_show_beginning,
            told=_show_reload,
            progress=_show_progress,
        )
    out.result(found, lambda: _show(found))


def updates(
    agent: Annotated[str | None, typer.Argument(metavar="[AGENT]", help="Default: all.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Newest to show.")] = 20,
    as_json: JsonOption = False,
) -> None:
    """Versions of the agents' hyperparameters that came into force, what processes made of them, and what waits."""
    out = Output(as_json)
    from cogorch_dagster.platform.database import transaction
    from cogorch_dagster.serving.updates import document

    with transaction(load_settings()) as connection:
        found = document(connection, agent, limit=limit)
    out.result(found, lambda: _show_updates(found))


def _agents(names: str) -> "tuple[AgentName, ...]":
    from cogorch_dagster.errors import InvalidInput
    from cogorch_dagster.fleet.signals import AGENTS

    wanted = [name.strip() for name in names.split(",")]
    if unknown := sorted(set(wanted) - set(AGENTS)):
        raise InvalidInput(f"there is no agent {', '.join(map(repr, unknown))}; the agents are {', '.join(AGENTS)}")
    return tuple(agent for agent in AGENTS if agent in wanted)


def _steps(text: str) -> int | None:
    from cogorch_dagster.errors import InvalidInput

    if text == FOREVER:
        return None
    if not text.isdecimal() or not 1 <= int(text) <= 10**9:
        raise InvalidInput(f"steps is {text!r}; it must be 1 to 1000000000, or {FOREVER}")
    return int(text)


def _token(settings: "Settings") -> str:
    from cogorch_dagster.setup import keep_local_token, local_token_file

    keep_local_token(settings)
    return local_token_file(settings).read_text().strip()


@contextmanager
def _until_told() -> "Iterator[Callable[[], bool]]":
    """Whether SIGTERM or SIGINT came; a second one interrupts at once."""
    import signal

    asked: list[int] = []

    def on_signal(number: int, _frame: object) -> None:
        if asked:
            raise KeyboardInterrupt
        asked.append(number)

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(asked)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _show_beginning(beginning: "Beginning", process: str) -> None:
    training = beginning.training
    sources = ", ".join(f"{agent} {word}" for agent, word in beginning.sources.items())
    say(f"{process} runs in {training.configuration.fleets} fleets from step {training.steps}: {sources}")


def _show_reload(found: "Reload") -> None:
    ref = f"{found.policy_id}@{found.version}"
    if found.accepted:
        say(f"step {found.steps}: {ref} is taken over" + (f" ({found.reason})" if found.reason else ""))
    else:
        say(f"step {found.steps}: {ref} is refused, the last good version stays: {found.reason}")


def _show_progress(found: "Progress") -> None:
    reward = "no window yet" if found.reward is None else f"reward {found.reward:.4f} per step in the last window"
    if found.steps < found.settled_from:
        reward += f", recorded from step {found.settled_from}"
    versions = ", ".join(f"{policy_id}@{version}" for policy_id, version in found.versions.items())
    say(f"step {found.steps}: {reward}; {versions or 'no version yet'}")


def _show(found: "Served") -> None:
    fields(
        [
            ("process", found.process),
            ("steps", found.steps),
            ("taken over", found.accepted),
            ("refused", found.refused),
            *found.versions.items(),
            ("goes on from", found.path),
        ]
    )


def _show_updates(found: dict[str, Any]) -> None:
    if not found["history"] and not found["pending"]:
        print("no version of any agent's hyperparameters has come into force yet")
        return
    columns = ("version", "replaced", "by", "activated", "taken over", "refused", "latency ms", "before", "after")
    table(columns, [_row(each) for each in found["history"]], right=("latency ms", "before", "after"))
    _explain(found["history"])
    _show_refusals(found["history"])
    if found["pending"]:
        print()
        rows = [(f"{e.policy_id}@{e.version}", e.status, e.created_at, e.created_by) for e in found["pending"]]
        table(("waits", "as", "since", "by"), rows)
    numbers = found["statistics"]
    print()
    fields(
        [
            ("versions", ", ".join(f"{count} {status}" for status, count in sorted(numbers.versions.items()))),
            ("answered", _answered(numbers)),
            ("latency", f"median {_ms(numbers.median_ms)}, p99 {_ms(numbers.p99_ms)}"),
            ("rolled back", f"{numbers.rollbacks}, of these {numbers.automatic} after a drop"),
        ]
    )


def _explain(history: "list[Update]") -> None:
    print()
    print("taken over, refused: processes, by their last answer; a process that was started again counts once")
    if any(each.mostly_refused for each in history):
        print("most: more processes refuse the version than took it over, and go on with their last good one")
    if any(each.before.windows for each in history):
        print(
            "before, after: mean shared reward per step (windows); agents learn on, so not all of it is the version's"
        )


def _show_refusals(history: "list[Update]") -> None:
    from cogorch_dagster.serving.update import refusals

    rows = [(each.ref, n, why) for each in history for why, n in refusals(each.acknowledgements).items()]
    if rows:
        print()
        table(("refused", "processes", "because"), rows, right=("processes",))


def _row(each: "Update") -> tuple[object, ...]:
    waits = [a.latency_ms for a in each.acknowledgements if a.latency_ms is not None]
    by = f"{each.action} by {each.decided_by}"
    refused = f"{each.refused} (most)" if each.mostly_refused else str(each.refused)
    worst = max(waits) if waits else None
    earned = _earned(each.before), _earned(each.after)
    return each.ref, each.previous, by, each.activated_at, each.taken_over, refused, worst, *earned


def _earned(found: "Earnings") -> str | None:
    return None if found.mean is None else f"{found.mean:.3f} ({found.windows})"


def _answered(numbers: "Statistics") -> str:
    if numbers.acceptance is None:
        return "by no process that ran when a version came into force"
    return f"{numbers.accepted} taken over, {numbers.refused} refused by processes that ran then"


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f} ms"
