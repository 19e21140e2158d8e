"""What `cogorch tune` does after a search, and prints of it: finalists, confirmation, registration, proposal."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cogorch_dagster.cli.output import acting, fields, say, table
from cogorch_dagster.cli.training_options import confirmed, first_line

if TYPE_CHECKING:
    from cogorch_dagster.settings import Settings
    from cogorch_dagster.tuning.confirmation import Confirmation
    from cogorch_dagster.tuning.finalists import Finalist, Finals, Told
    from cogorch_dagster.tuning.studies import Planned
    from cogorch_dagster.tuning.studies import Study as AnyStudy
    from cogorch_dagster.tuning.study import Study

NOTHING_FOUND = "nothing found that beats what is in force"

Stop = Callable[[], bool]


@dataclass(frozen=True)
class Concluded:
    """What became of a winner.

    Attributes:
        confirmation: None where what is in force won, or where it was stopped.
        registered: the version of the registry of a winner that is better.
        proposed: the draft, by its `version`, `status` and `decided_by`; None where nothing was proposed.
    """

    confirmation: "Confirmation | None" = None
    registered: str | None = None
    proposed: dict[str, Any] | None = None

    def value(self) -> dict[str, Any]:
        """As JSON, without the confirmation."""
        return {"registered": self.registered, "proposed": self.proposed}


def chosen(settings: "Settings", study: "Study", stop: Stop, workers: int = 1) -> "Finals":
    """Train the finalists until one has won, or until `stop` says so."""
    from cogorch_dagster.tuning.finalists import decide, standing
    from cogorch_dagster.tuning.objective import Interrupted

    try:
        return decide(settings, study, workers=workers, progress=_told, stop=stop)
    except Interrupted:
        say("the finalists' trainings were stopped; the same command goes on")
        return standing(settings, study)


def concluded(
    settings: "Settings",
    study: "Study",
    seeds: int | None,
    stop: Stop,
    *,
    workers: int = 1,
    propose: bool,
    actor: str | None,
) -> Concluded:
    """Confirm the winner on fresh seeds; one that is better is registered and, where that is asked for, proposed.

    Args:
        study: whose winner is `chosen`.
    """
    from cogorch_dagster.tuning.confirmation import confirm

    found = confirmed(lambda told: confirm(settings, study, seeds=seeds, workers=workers, progress=told, stop=stop))
    if found is None:
        return Concluded()
    if found.found.verdict != "better":
        if propose:
            say("nothing is proposed: the winner was not shown to be better")
        return Concluded(found)
    version = registered(settings, study, found)
    return Concluded(found, version, _proposed(settings, study, found, actor) if propose else None)


def finals_value(finals: "Finals") -> dict[str, Any]:
    """The finalists and who won, as JSON."""
    winner = finals.winner and finals.winner.number
    return {"finalists": [each.document() for each in finals.finalists], "winner": winner}


def show_finals(finals: "Finals") -> None:
    """The finalists, the winner first; nothing where there are none."""
    if not finals.finalists:
        return
    print(f"finalists, by {finals.done} of at most {finals.total} further trainings")
    rows = [_row(each, finals) for each in finals.finalists]
    table(("trial", "trainings", "mean", "low", "high", "state"), rows, right=("trial", "trainings", "mean"))


def show_concluded(found: Concluded) -> None:
    """The verdict, and where the winner is now."""
    if found.confirmation is None:
        return
    confirmation, difference = found.confirmation, found.confirmation.found
    fields(
        [
            ("winner", f"trial {confirmation.trial}"),
            ("return", f"{difference.candidate:.4f}, {difference.baseline:.4f} in force"),
            (
                "difference",
                f"{difference.mean:+.4f} [{difference.low:+.4f}, {difference.high:+.4f}] "
                f"on {len(confirmation.seeds)} seeds",
            ),
            ("verdict", difference.verdict),
            ("registered", found.registered),
            ("proposed", found.proposed and f"{found.proposed['version']} ({found.proposed['status']})"),
        ]
    )


def show_confirmed(finals: "Finals", found: Concluded) -> None:
    """The finalists and the verdict; without a confirmation, that what is in force won."""
    show_finals(finals)
    if found.confirmation is None:
        print(NOTHING_FOUND)
        return
    print()
    show_concluded(found)


def _told(now: "Told") -> None:
    came = f"return {now.value:.4f}" if now.value is not None else f"failed: {first_line(now.error)}"
    say(f"finalists {now.done:>3} of {now.total}  trial {now.trial:>4}  training {now.place + 1}  {came}")


def _row(each: "Finalist", finals: "Finals") -> tuple[Any, ...]:
    low, high = each.interval or (None, None)
    state = "trained" if finals.winner is None else "won"
    if each.error is not None:
        state = f"failed: {first_line(each.error, 60)}"
    elif each.dropped is not None:
        state = "dropped"
    return each.trial.number, len(each.returns), each.mean, low, high, state


def registered(settings: "Settings", study: "AnyStudy[Planned]", confirmation: "Confirmation") -> str | None:
    """The version of the registry that a winner that is better has now; None, and said why, where there is none."""
    from cogorch_dagster.errors import CogorchError
    from cogorch_dagster.tuning.registration import register_confirmed

    try:
        return register_confirmed(settings, study, confirmation).ref
    except CogorchError as error:  # The result is kept, and another confirmation registers it.
        say(f"the winner is not registered: {error}")
        return None


def _proposed(settings: "Settings", study: "Study", confirmation: "Confirmation", actor: str | None) -> dict[str, Any]:
    from cogorch_dagster.platform.database import transaction
    from cogorch_dagster.tuning.proposing import propose

    with transaction(settings) as connection:
        draft, decision = propose(connection, study, confirmation, actor=acting(actor))
    return {"version": draft.ref, "status": draft.status, "decided_by": decision and decision.actor}
