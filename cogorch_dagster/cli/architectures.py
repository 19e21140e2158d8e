"""`cogorch tune architectures`: search the network of an agent by halving, confirm the best, propose it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cogorch_dagster.cli.output import (
    ActorOption,
    JsonOption,
    Output,
    acting,
    examples,
    fields,
    load_settings,
    say,
    table,
)
from cogorch_dagster.cli.pictures import require_image, write_picture
from cogorch_dagster.cli.training_options import (
    NOT_CALIBRATED,
    CalibrationOption,
    first_line,
    fleet_of,
    stopping,
)

if TYPE_CHECKING:
    from cogorch_dagster.settings import Settings
    from cogorch_dagster.tuning.halving.architectures import Outcome
    from cogorch_dagster.tuning.halving.study import Study
    from cogorch_dagster.tuning.halving.working import Progress

SHORT_HELP = "Search an agent's network."
EPILOG = examples(
    "cogorch tune architectures ethical",
    "cogorch tune architectures policy --budget full --full-trainings 60 --joint --plot curves.png",
    "cogorch tune architectures ethical --study night --propose",
)


def architectures(
    agent: Annotated[str, typer.Argument(metavar="AGENT", help="policy, consensus, ethical or resource.")],
    budget: Annotated[str, typer.Option(metavar="quick|full", help="10 or 50 episodes at the top.")] = "quick",
    full_trainings: Annotated[
        float, typer.Option(min=1, max=1_000_000, help="Steps of the study, counted in whole trainings.")
    ] = 20,
    rungs: Annotated[int, typer.Option(min=1, max=10, help="At which trials are paused.")] = 4,
    eta: Annotated[int, typer.Option(min=2, max=16, help="One of so many is promoted.")] = 3,
    sampler: Annotated[str, typer.Option(metavar="NAME", help="tpe or random.")] = "tpe",
    joint: Annotated[bool, typer.Option("--joint", help="Search the hyperparameters together with it.")] = False,
    seed: Annotated[int, typer.Option(min=0, max=2**63 - 1, help="Of everything random.")] = 0,
    study: Annotated[
        str | None, typer.Option(metavar="NAME", help="To begin or go on with; default: of its plan.")
    ] = None,
    episodes: Annotated[int | None, typer.Option(min=1, max=100_000, help="Of a whole training, instead.")] = None,
    fleets: Annotated[int | None, typer.Option(min=1, max=100_000, help="Trained in at once, instead.")] = None,
    trainings: Annotated[int | None, typer.Option(min=1, max=100, help="Of a trial, each with a seed.")] = None,
    minutes: Annotated[float | None, typer.Option(min=0, help="Stop there at the latest.")] = None,
    seeds: Annotated[int, typer.Option(min=3, max=1000, help="Fresh seeds of the confirmation.")] = 10,
    propose: Annotated[bool, typer.Option("--propose", help="Propose the best where it is better.")] = False,
    calibration: CalibrationOption = "latest",
    plot: Annotated[Path | None, typer.Option(metavar="PNG", help="Write the learning curves there.")] = None,
    actor: ActorOption = None,
    as_json: JsonOption = False,
) -> None:
    """Train networks a little, and the best of them further, rung by rung, until the steps are spent.

    The same command elsewhere joins in; after Ctrl-C it goes on. At the end the best network is trained on fresh seeds
    beside the one in force. It takes effect with the agent's next training.
    """
    require_image(plot)
    out = Output(as_json)
    from cogorch_dagster.tuning.halving import architectures as halving

    settings = load_settings()
    changes = {"episodes": episodes, "fleets": fleets, "seeds": trainings}
    others = {"trainings": full_trainings, "rungs": rungs, "eta": eta, "sampler": sampler, "seed": seed}
    found = _begun(settings, agent, study, budget, changes, joint, others, calibration)
    with stopping(minutes) as (stop, interrupted), _shown(found) as show:
        outcome = halving.search(settings, found, progress=show, stop=stop)
        ended = _concluded(settings, outcome, seeds, stop) if outcome.ended and not stop() else None
    registered = None if ended is None else _registered(settings, ended)
    proposed = _proposed(settings, ended, actor) if propose and ended is not None else None
    if plot is not None:
        write_picture(plot, outcome.picture())
        say(f"written: {plot}")
    out.result(
        outcome_value(outcome, ended, proposed) | {"registered": registered},
        lambda: show_outcome(outcome, ended, proposed),
    )
    if not outcome.ended:
        say("there are steps left; the same command goes on")
    if interrupted():
        raise typer.Exit(130)


def _begun(
    settings: "Settings",
    agent: str,
    name: str | None,
    budget: str,
    changes: dict[str, int | None],
    joint: bool,
    others: dict[str, Any],
    calibration: str,
) -> "Study":
    from typing import cast

    from cogorch_dagster.fleet.signals import AgentName
    from cogorch_dagster.platform.database import transaction
    from cogorch_dagster.tuning.budget import budget_of
    from cogorch_dagster.tuning.halving import study as studies

    cost = budget_of(budget, **changes)
    parameters, calibrated = fleet_of(settings, calibration)
    with transaction(settings) as connection:
        plan = studies.planned(connection, cast(AgentName, agent), parameters, cost, joint=joint, **others)
        found = studies.begin(connection, name or studies.name_of(plan), plan)
    if not calibrated:
        say(NOT_CALIBRATED)
    return found


def _concluded(settings: "Settings", outcome: "Outcome", seeds: int, stop: Callable[[], bool]) -> "Study | None":
    from cogorch_dagster.cli.training_options import confirmed
    from cogorch_dagster.tuning.halving.architectures import conclude

    return confirmed(lambda told: conclude(settings, outcome, seeds=seeds, progress=told, stop=stop))


def _registered(settings: "Settings", study: "Study") -> str | None:
    from cogorch_dagster.cli.tune_conclusion import registered
    from cogorch_dagster.tuning.confirmation import Confirmation

    if study.result is None or study.result["verdict"] != "better":
        return None
    return registered(settings, study, Confirmation.from_document(study.result))


def _proposed(settings: "Settings", study: "Study", actor: str | None) -> dict[str, Any] | None:
    """Propose the best where it is better; None where it is not, which is no error of a search."""
    from cogorch_dagster.platform.database import transaction
    from cogorch_dagster.tuning.halving.architectures import propose

    if study.result is None:
        return None
    if study.result["verdict"] != "better":
        say("nothing is proposed: the best architecture was not shown to be better")
        return None
    with transaction(settings) as connection:
        draft, decision = propose(connection, study, actor=acting(actor))
    return {"version": draft.ref, "status": draft.status, "decided_by": decision and decision.actor}


@contextmanager
def _shown(study: "Study") -> "Iterator[Callable[[Progress], None]]":
    """A line for each job."""
    say(f"study {study.name}")

    def show(now: "Progress") -> None:
        came = f"score {now.score:.4f}" if now.score is not None else f"failed: {first_line(now.error)}"
        best = "-" if now.best is None else f"{now.best.scores[-1]:.4f} at rung {len(now.best.scores) - 1}"
        say(f"{now.spent / now.budget:>4.0%}  trial {now.trial:>4}  rung {now.rung}  {came}  best {best}")

    yield show


def outcome_value(outcome: "Outcome", ended: "Study | None", proposed: dict[str, Any] | None) -> dict[str, Any]:
    """Where a study stands, as JSON."""
    study, best = outcome.study, outcome.best
    return {
        "study": study.name,
        "created_at": study.created_at,
        "plan": study.plan.document(),
        "ended": outcome.ended,
        "spent": outcome.spent,
        "budget": outcome.budget,
        "rungs": [row.document() for row in outcome.rows],
        "best": best and {"trial": best.number, "scores": best.scores, "params": study.plan.space.params(best.values)},
        "result": ended and ended.result,
        "proposed": proposed,
    }


def show_outcome(outcome: "Outcome", ended: "Study | None", proposed: dict[str, Any] | None) -> None:
    """The rungs, the best and the verdict on it."""
    columns = ("rung", "steps", "reached", "promoted", "failed", "best", "middle")
    table(columns, [tuple(row.document().values()) for row in outcome.rows], right=columns)
    print()
    best = outcome.best
    shown: list[tuple[str, Any]] = [("study", outcome.study.name), ("steps", f"{outcome.spent} of {outcome.budget}")]
    if best is not None:
        params = outcome.study.plan.space.params(best.values)
        network = f"{params['hidden']} {params['activation']}, dropout {params['dropout']:g}"
        shown += [
            ("best", f"trial {best.number} at rung {len(best.scores) - 1}: {best.scores[-1]:.4f}"),
            ("network", network),
        ]
    if ended is not None and ended.result is not None:
        found = ended.result["found"]
        shown += [
            ("difference", f"{found['mean']:+.4f} [{found['low']:+.4f}, {found['high']:+.4f}] on fresh seeds"),
            ("verdict", ended.result["verdict"]),
            ("violations", "; ".join(ended.result["violations"]) or None),
            ("proposed", None if proposed is None else f"{proposed['version']} ({proposed['status']})"),
        ]
    fields(shown)
    if outcome.ended and outcome.in_force_is_best:
        print("nothing found that beats what is in force")
