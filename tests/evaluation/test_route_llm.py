"""Real questions with both models' answers, so that the true value of every routing policy is known.

Logs are simulated: questions drawn with replacement, so that a log is a sample of the traffic whose mean is the truth
(logging every question exactly once would make the error smaller than any real log's, and every interval too wide).
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kendalltau

from cogorch_dagster.evaluation.bandit import LoggedBandit
from cogorch_dagster.evaluation.estimators import estimates
from cogorch_dagster.evaluation.report import evaluate_bandit
from cogorch_dagster.evaluation.support import support

ARMS = ("weak", "strong")
ALWAYS_STRONG = np.array([0.0, 1.0])


@dataclass(frozen=True)
class Questions:
    right: np.ndarray  # (n, 2) whether each model answers right
    task: np.ndarray
    length: np.ndarray

    def log(self, propensity: float, rng: np.random.Generator, slices: bool = False) -> tuple[LoggedBandit, np.ndarray]:
        """A log as long as the file, and which question each row asks."""
        n = len(self.task)
        asked = rng.integers(0, n, n)
        strong = (rng.random(n) < propensity).astype(np.int64)
        chance = np.where(strong == 1, propensity, 1 - propensity)
        labels = {"task": self.task[asked]} if slices else {}
        return LoggedBandit(strong, chance, self.right[asked, strong], ARMS, slices=labels), asked


@pytest.fixture(scope="module")
def questions(realdata: Path) -> Questions:
    file = pd.read_csv(realdata / "routellm" / "outcomes.csv")
    right = file[["weak_ok", "strong_ok"]].to_numpy(float)
    assert right[:, 1].mean() == pytest.approx(0.8102, abs=5e-5)
    return Questions(right, file["task"].to_numpy(str), file["prompt_chars"].to_numpy(float))


@pytest.mark.parametrize("propensity", [0.5, 0.1, 0.02])
def test_intervals_cover_the_value_of_always_strong(questions: Questions, propensity: float) -> None:
    """93 to 97 % of 1,000 logs, by SNIPS and by DR; their effective sample size is that of the strong answers."""
    truth, runs = questions.right[:, 1].mean(), 1000
    rng = np.random.default_rng([21, int(1000 * propensity)])
    hits = {"snips": 0, "dr": 0}
    for _ in range(runs):
        log, _ = questions.log(propensity, rng)
        patterns, (ratios,) = log.against(ALWAYS_STRONG)
        found = estimates(patterns, ratios, hits)
        assert found["dr"].effective_sample_size == pytest.approx(log.action.sum(), rel=1e-9)
        for name, each in found.items():
            hits[name] += each.ci95[0] <= truth <= each.ci95[1]
    assert 0.93 <= hits["snips"] / runs <= 0.97, hits
    assert 0.93 <= hits["dr"] / runs <= 0.97, hits


def test_too_rare_a_propensity_is_refused(questions: Questions) -> None:
    log, _ = questions.log(0.001, np.random.default_rng(22))
    assert log.action.sum() < 30
    assert evaluate_bandit(log, ALWAYS_STRONG).overall.refusal.reason == "small_effective_sample"


def family(questions: Questions) -> list[np.ndarray]:
    """(n,) probability of the strong model per question: by length of the prompt, by benchmark, and at random."""
    long = [questions.length >= np.quantile(questions.length, share) for share in (0.2, 0.4, 0.6, 0.8)]
    benchmark = np.array([task.partition(":")[0] for task in questions.task])
    only = [benchmark == name for name in sorted(set(benchmark))]
    mixed = [np.full(len(benchmark), share) for share in (0.0, 0.25, 0.5, 0.75, 1.0)]
    return [each.astype(float) for each in (*long, *only, *mixed)]


def test_policies_rank_by_estimate_as_they_do_in_truth(questions: Questions) -> None:
    """From 20 logs with 50/50: every pair further apart than .02 in the right order, and by rank correlation."""
    policies = family(questions)
    truth = np.array(
        [(questions.right[:, 0] + p * (questions.right[:, 1] - questions.right[:, 0])).mean() for p in policies]
    )
    clear = truth[:, None] > truth + 0.02
    assert clear.sum() > 30
    rng = np.random.default_rng(23)
    taus: dict[str, list[float]] = {"snips": [], "dr": []}
    for _ in range(20):
        log, asked = questions.log(0.5, rng)
        targets = [np.stack([1 - p[asked], p[asked]], axis=1) for p in policies]
        patterns, every = log.against(*targets)
        found = [estimates(patterns, ratios, taus) for ratios in every]
        for name, tau in taus.items():
            value = np.array([each[name].value for each in found])
            assert (value[:, None] > value)[clear].all(), name
            tau.append(kendalltau(value, truth).statistic)
    assert min(map(np.mean, taus.values())) > 0.93, taus


def test_the_slice_on_which_the_strong_model_is_worse_is_found(questions: Questions) -> None:
    """GPT-4 answers 3 % of the benchmark's high-school mathematics right, Mixtral 32 %; on no other task is it
    clearly worse. The interval allows for the 58 tasks looked at, and holds the true difference."""
    log, _ = questions.log(0.5, np.random.default_rng(24), slices=True)
    report = evaluate_bandit(log, ALWAYS_STRONG, np.array([1.0, 0.0]), baseline_name="always weak")
    assert report.overall.difference.value == pytest.approx(0.133, abs=0.03)
    worse = report.worse()
    assert [(each.slicing, each.label) for each in worse] == [("task", "mmlu:high_school_mathematics")]
    here = questions.task == "mmlu:high_school_mathematics"
    true = questions.right[here, 1].mean() - questions.right[here, 0].mean()
    apart = worse[0].evaluation.difference
    assert apart.interval[0] < true < apart.interval[1] < 0
    assert apart.interval[1] - apart.interval[0] > 2 * 1.96 * apart.se


def test_found_slices_are_rarely_wrong(questions: Questions) -> None:
    """Tasks dealt at random, so that none differs from the others: 5 % of logs at most name one (but for chance)."""
    rng = np.random.default_rng(25)
    same = Questions(questions.right[:, [1, 1]], questions.task, questions.length)
    named = 0
    for _ in range(60):
        log, _ = same.log(0.5, rng, slices=True)
        report = evaluate_bandit(log, ALWAYS_STRONG, np.array([1.0, 0.0]), names=("dr",))
        named += any(each.evaluation.difference and each.evaluation.difference.found for each in report.slices)
    # 60 draws at 5 %: more than 9 are less likely than 1 in 500.
    assert named <= 9


def test_overlap_tells_what_was_logged_and_what_the_target_draws(questions: Questions) -> None:
    log, _ = questions.log(0.1, np.random.default_rng(26))
    patterns, (ratios,) = log.against(np.array([0.3, 0.7]))
    found = support(patterns, ratios)
    weak, strong = found.overlap
    assert (weak.arm, strong.arm) == ARMS
    assert (weak.logged, strong.logged) == tuple(np.bincount(log.action))
    assert (weak.target_share, strong.target_share) == pytest.approx((0.3, 0.7))
    assert strong.largest_weight == pytest.approx(7)
    assert strong.effective_sample_size == pytest.approx(strong.logged)
    assert found.mean_weight == pytest.approx(1, abs=5 * found.mean_weight_se)
