"""How a halving study chooses: its ladder, budget, parameters and sampler, as a document that all workers share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.tuning.halving.rungs import Ladder, Trial, bracket
from cogorch_dagster.tuning.halving.sampling import Sampler, Values, enough, learned_from, sample

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution


@dataclass(frozen=True)
class Rule:
    """Settings of a study.

    Attributes:
        ladder: its rungs.
        budget: steps of all trials together, at least those of `rungs.bracket`.
        distributions: of each parameter, Optuna's; categorical choices are texts, numbers, booleans or None.
        sampler: random or tpe.
        seed: of everything that is drawn, 0 to 2**63 - 1.

    Raises:
        InvalidInput: not so.
    """

    ladder: Ladder
    budget: int
    distributions: "Mapping[str, BaseDistribution]"
    sampler: Sampler = "tpe"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.budget < bracket(self.ladder):
            raise InvalidInput(
                f"the budget of {self.budget} steps ends before one trial is at the top: give at least "
                f"{bracket(self.ladder)}, fewer rungs, or a shorter training"
            )
        if self.sampler not in get_args(Sampler):
            raise InvalidInput(f"sampler is {self.sampler!r}; it must be random or tpe")
        if not 0 <= self.seed < 2**63:
            raise InvalidInput(f"seed is {self.seed}; it must lie between 0 and 2**63 - 1")
        if not self.distributions:
            raise InvalidInput("there is no parameter to search; name at least one")

    def values(self, number: int, trials: Sequence[Trial], known: Mapping[int, Values]) -> Values:
        """The parameters of a new trial, given what others reached and the parameters of those by number."""
        seen = [] if self.sampler == "random" else learned_from(self.ladder, trials, known, enough(self.distributions))
        return sample(self.distributions, seen, sampler=self.sampler, seed=self.seed, number=number)

    def document(self) -> dict[str, Any]:
        """As JSON."""
        from optuna.distributions import distribution_to_json

        return {
            "levels": list(self.ladder.levels),
            "eta": self.ladder.eta,
            "budget": self.budget,
            "sampler": self.sampler,
            "seed": self.seed,
            "distributions": {name: distribution_to_json(each) for name, each in self.distributions.items()},
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> "Rule":
        """What `document` was called on; InvalidInput if it cannot be read."""
        from optuna.distributions import json_to_distribution

        try:
            return cls(
                ladder=Ladder(tuple(document["levels"]), document["eta"]),
                budget=document["budget"],
                distributions={name: json_to_distribution(text) for name, text in document["distributions"].items()},
                sampler=document["sampler"],
                seed=document["seed"],
            )
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidInput(f"the rule of a halving study cannot be read: {error}") from error
