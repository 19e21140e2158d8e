"""Two controllers' scores, metric by metric; latency only at equal success.

How the scores come about is `evaluation.py`, the statistics are `comparison.py` and `equal_success.py`.
"""

from collections.abc import Sequence

from cogorch_dagster.agents.comparison.bootstrap import RESAMPLES, Statistic
from cogorch_dagster.agents.comparison.comparison import Comparison, compare_all
from cogorch_dagster.agents.comparison.equal_success import NotComparable, compare_at_equal_success
from cogorch_dagster.agents.evaluation import LATENCY, METRICS, SUCCESS, Scores
from cogorch_dagster.errors import InvalidInput

# Loss of success that still counts as equal: one request in a hundred.
TOLERANCE = 0.01


def compare_scores(
    baseline: Scores,
    treated: Scores,
    *,
    tolerance: float = TOLERANCE,
    strata: Sequence[int] | None = None,
    statistic: Statistic = "interquartile mean",
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> dict[str, Comparison | NotComparable]:
    """Compare two controllers that met the same fleets, paired by seed; by metric, in the order of `METRICS`.

    Args:
        tolerance: loss of success at which latency is still compared, as a share of the requests, 0 or more.
        strata, statistic, resamples, seed: see `comparison.compare_all`.

    Raises:
        InvalidInput: the two did not meet the same fleets, or a figure is not a number.
    """
    for name in ("parameters", "seeds", "fleets_per_seed", "steps"):
        mine, other = getattr(treated, name), getattr(baseline, name)
        if mine != other:
            raise InvalidInput(f"the scores have different {name}: {other} and {mine}; evaluate both alike")
    found: dict[str, Comparison | NotComparable] = {}
    found |= compare_all(
        METRICS,
        baseline.values,
        treated.values,
        strata=strata,
        statistic=statistic,
        resamples=resamples,
        seed=seed,
    )
    found[LATENCY.name] = compare_at_equal_success(
        LATENCY,
        SUCCESS,
        baseline.values,
        treated.values,
        tolerance=tolerance,
        strata=strata,
        statistic=statistic,
        resamples=resamples,
        seed=seed,
    )
    return found
