"""What a trial may cost, in episodes, fleets and trainings; two budgets have a name."""

from dataclasses import dataclass, replace

from cogorch_dagster.errors import InvalidInput

_TOPS = {"episodes": 100_000, "evaluation_episodes": 1000, "fleets": 100_000, "seeds": 100}


@dataclass(frozen=True)
class Budget:
    """What a trial may cost.

    Attributes:
        episodes: of training; each is one horizon of all fleets at once, 1 to 100,000.
        evaluation_episodes: evaluation seeds, each one horizon of `objective.FLEETS_PER_SEED` fleets, 1 to 1000.
        fleets: trained in at once, 1 to 100,000.
        seeds: trainings of a trial, each with a seed of its own, 1 to 100.

    Raises:
        InvalidInput: a number is outside of its range.
    """

    episodes: int
    evaluation_episodes: int
    fleets: int
    seeds: int

    def __post_init__(self) -> None:
        for name, top in _TOPS.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= top:
                raise InvalidInput(f"{name} of a budget must be a whole number from 1 to {top}, got {value!r}")


QUICK = Budget(episodes=10, evaluation_episodes=5, fleets=8, seeds=2)
FULL = Budget(episodes=50, evaluation_episodes=10, fleets=16, seeds=3)
BUDGETS = {"quick": QUICK, "full": FULL}


def budget_of(name: str, *, episodes: int | None = None, fleets: int | None = None, seeds: int | None = None) -> Budget:
    """The budget of a name, with other numbers where they are given.

    Raises:
        InvalidInput: there is none of that name, or a number is outside of its range.
    """
    if name not in BUDGETS:
        raise InvalidInput(f"budget {name!r} is unknown; there are {', '.join(BUDGETS)}")
    given = {"episodes": episodes, "fleets": fleets, "seeds": seeds}
    return replace(BUDGETS[name], **{key: value for key, value in given.items() if value is not None})
