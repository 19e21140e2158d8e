"""A controller against baselines on the same fresh fleets: scores, comparisons seed by seed, and the bars.

Who the baselines are is `contestants.py`, how two are compared `scores_comparison.py`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from cogorch_dagster.agents.comparison.bars import Judged, judged
from cogorch_dagster.agents.comparison.bootstrap import RESAMPLES, Estimate, interval, replicates, resampled, summarised
from cogorch_dagster.agents.comparison.comparison import Comparison
from cogorch_dagster.agents.comparison.comparison_figure import comparison_figure
from cogorch_dagster.agents.comparison.contestants import contestant
from cogorch_dagster.agents.comparison.equal_success import NotComparable
from cogorch_dagster.agents.comparison.scores_comparison import compare_scores
from cogorch_dagster.agents.controllers import Controller
from cogorch_dagster.agents.evaluation import Scores, evaluate
from cogorch_dagster.agents.training.joint import Progress, one_thread
from cogorch_dagster.agents.training.joint_configuration import JointConfiguration
from cogorch_dagster.fleet.parameters import FleetParameters


@dataclass(frozen=True, eq=False)
class Contest:
    """What came of it.

    Attributes:
        scores: of the controller, under its name, and of the baselines.
        comparisons: by baseline and metric, the controller with it.
        bars: by baseline.
    """

    controller: str
    scores: dict[str, Scores]
    comparisons: dict[str, dict[str, Comparison | NotComparable]]
    bars: dict[str, list[Judged]]

    @property
    def reached(self) -> bool:
        """Whether every bar is reached against every baseline."""
        return all(each.reached for found in self.bars.values() for each in found)

    def document(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "controller": self.controller,
            "reached": self.reached,
            "bars": {name: [asdict(each) for each in found] for name, found in self.bars.items()},
            "comparisons": {
                name: {metric: asdict(each) | {"verdict": each.verdict} for metric, each in found.items()}
                for name, found in self.comparisons.items()
            },
            "summary": {name: _plain(summary(scores)) for name, scores in self.scores.items()},
            "scores": {name: scores.as_dict() for name, scores in self.scores.items()},
        }

    def picture(self) -> bytes:
        """PNG: how much better or worse the controller is than each baseline, metric by metric."""
        shown = {f"against {name}": found for name, found in self.comparisons.items()}
        return comparison_figure(shown, baseline="each baseline")


def contest(
    parameters: FleetParameters,
    controller: Controller,
    baselines: Sequence[str],
    configuration: JointConfiguration,
    *,
    seeds: Sequence[int],
    told: Callable[[str], None] | None = None,
) -> Contest:
    """Train the baselines that learn, let all steer the same fresh fleets, and compare.

    Args:
        baselines: names of `contestants.BASELINES`.
        configuration: of the controller's training, whose budget the baselines get.
        seeds: none that training has seen.
        told: called with a line on what is being done.

    Raises:
        InvalidInput: an unknown baseline, or seeds that `evaluate` refuses.
    """
    scores = {controller.name: scored(parameters, controller, seeds, configuration)}

    def report(agent: str, now: Progress) -> None:
        if told is not None:
            told(f"independent {agent}: step {now.steps} of {now.total}, reward {now.point['reward']:.4f}")

    for name in baselines:
        if told is not None:
            told(f"baseline {name}")
        other = contestant(name, parameters, configuration, progress=report)
        scores[name] = scored(parameters, other, seeds, configuration)
    comparisons = {name: compare_scores(scores[name], scores[controller.name]) for name in baselines}
    return Contest(
        controller=controller.name,
        scores=scores,
        comparisons=comparisons,
        bars={name: judged(found) for name, found in comparisons.items()},
    )


def scored(
    parameters: FleetParameters, controller: Controller, seeds: Sequence[int], configuration: JointConfiguration
) -> Scores:
    """The scores of a controller on the seeds' fleets, computed in one thread."""
    with one_thread():
        return evaluate(parameters, controller, seeds=seeds, weights=configuration.weights)


def summary(scores: Scores) -> dict[str, Estimate]:
    """By metric the interquartile mean over the seeds, with its 95 % bootstrap interval."""
    positions = resampled(len(scores.seeds), count=RESAMPLES, seed=0)
    found = {}
    for name, values in scores.values.items():
        low, high = interval(replicates(values, positions, "interquartile mean"))
        found[name] = Estimate(float(summarised(values, "interquartile mean")), float(low), float(high))
    return found


def _plain(found: Mapping[str, Estimate]) -> dict[str, dict[str, float]]:
    return {name: asdict(estimate) for name, estimate in found.items()}
