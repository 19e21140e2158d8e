"""What an attempt to overturn an estimate found."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cogorch_dagster.errors import InvalidInput

Floats = npt.NDArray[np.float64]

FEWEST_SIMULATIONS = 20


@dataclass(frozen=True)
class Refutation:
    """One attempt.

    Attributes:
        name: "placebo", "random_common_cause" or "subset".
        simulations: how many were drawn.
        mean, spread: of the simulated effects, and their standard deviation, in units of the estimate.
        low, high: between which 95 % of them lie.
        p: probability of what was found if nothing is wrong; None where the attempt has no such test.
        passed: whether the estimate withstood it.
        sentence: what that means.
    """

    name: str
    simulations: int
    mean: float
    spread: float
    low: float
    high: float
    p: float | None
    passed: bool
    sentence: str


def summary(name: str, effects: Floats, *, p: float | None, passed: bool, sentence: str) -> Refutation:
    """A refutation with the distribution of the simulated effects."""
    low, high = (float(each) for each in np.quantile(effects, (0.025, 0.975)))
    mean, spread = float(effects.mean()), float(effects.std(ddof=1))
    return Refutation(name, len(effects), mean, spread, low, high, p, passed, sentence)


def check_simulations(simulations: int) -> None:
    """
    Raises:
        InvalidInput: fewer than 20.
    """
    if simulations < FEWEST_SIMULATIONS:
        raise InvalidInput(f"simulations {simulations} must be at least {FEWEST_SIMULATIONS}; fewer tell nothing")
