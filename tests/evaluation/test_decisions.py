"""Decisions read back from a lake, against the rows that went in."""

from datetime import timedelta

import numpy as np
import pytest
from scipy.stats import t

from cogorch_dagster.errors import InvalidInput, Refused
from cogorch_dagster.evaluation.decisions import Decisions, read_decisions
from cogorch_dagster.evaluation.estimators import estimate
from cogorch_dagster.evaluation.measurement import Measurement, difference, measure
from cogorch_dagster.settings import Settings
from tests.evaluation.traffic import ARMS, POLICY, REWARD, START, WEIGHTS, Arm, Traffic, generate, install

SINCE, UNTIL = START - timedelta(hours=1), START + timedelta(hours=5)
FRAGILE = {name: Arm(arm.latency, arm.cost, 0.3, arm.right) for name, arm in ARMS.items()}


def read(settings: Settings, **options: object) -> Decisions:
    return read_decisions(settings, POLICY, SINCE, UNTIL, **options)


def test_decisions_are_scored_as_a_whole(settings: Settings) -> None:
    """Sum of durations and costs, outcome of the last attempt: the mean reward is that of the rows by hand."""
    install(settings)
    traffic = generate(WEIGHTS, 300, seed=1, arms=FRAGILE)
    assert {len(each["rows"]) for each in traffic.decisions} == {1, 2, 3}
    traffic.store(settings)
    found = read(settings, feedback_delay=timedelta(0))
    assert (found.usable, found.left_out) == (300, {})
    rewards = np.array([each["reward"] for each in traffic.decisions])
    assert found.of_version("1.0.0").value == pytest.approx(rewards.mean(), rel=1e-9)
    assert found.of_version("1.0.0").se == pytest.approx(rewards.std(ddof=1) / np.sqrt(300), rel=1e-9)
    assert found.reward.policy_id == "reward-test"
    assert found.sources == {"test": 300}
    assert found.hours == (START.replace(minute=0),)


def test_the_halves_estimate_what_the_rows_say(settings: Settings) -> None:
    """Self-normalised weights by hand over all rows: the halves together give the same."""
    install(settings)
    traffic = generate(WEIGHTS, 300, seed=2, arms=FRAGILE)
    traffic.store(settings)
    candidate = {"small": 0.6, "medium": 0.3, "large": 0.1}
    ratios = []
    for each in traffic.decisions:
        ratio = 1.0
        for row in each["rows"]:
            ratio *= candidate[row["action"]] / sum(candidate[arm] for arm in row["action_set"]) / row["propensity"]
        ratios.append(ratio)
    rewards = [each["reward"] for each in traffic.decisions]
    found = read(settings, feedback_delay=timedelta(0))
    halves = [found.patterns(half) for half in (0, 1)]
    weighted = total = 0.0
    for half in halves:
        mass = estimate(half, half.weights(candidate), "ips")
        value = estimate(half, half.weights(candidate), "snips")
        assert value.decisions > 100
        ratio_sum = mass.value / value.value * value.decisions
        total += ratio_sum
        weighted += ratio_sum * value.value
    assert total == pytest.approx(sum(ratios), rel=1e-9)
    assert weighted == pytest.approx(np.dot(ratios, rewards), rel=1e-9)


def test_the_split_depends_on_the_seed_and_on_nothing_else(settings: Settings) -> None:
    install(settings)
    generate(WEIGHTS, 200, seed=3).store(settings)
    first = read(settings).patterns(0).decisions
    generate(WEIGHTS, 50, seed=4, start=START + timedelta(hours=3)).store(settings)
    again = read_decisions(settings, POLICY, SINCE, START + timedelta(hours=2), feedback_delay=timedelta(0))
    assert abs(again.patterns(0).decisions - first) <= 1  # the last decision no longer awaits feedback
    other = read_decisions(settings, POLICY, SINCE, START + timedelta(hours=2), seed=1, feedback_delay=timedelta(0))
    assert other.usable == again.usable
    assert [group[3:6] for group in other.groups if group[0] == 0] != [
        group[3:6] for group in again.groups if group[0] == 0
    ]


def test_what_cannot_be_evaluated_is_left_out_and_counted(settings: Settings) -> None:
    install(settings)
    traffic = generate(WEIGHTS, 40, seed=5, arms={**ARMS, "large": Arm(80, 0.001, 1.0, 1.0)})
    both = [each["rows"] for each in traffic.decisions if len(each["rows"]) > 1]
    single = [each["rows"] for each in traffic.decisions if len(each["rows"]) == 1]
    both[0][-1]["outcome"] = "pending"
    both[1][-1]["outcome"] = "cancelled"
    both[2][0]["propensity"] = None
    traffic.observations.remove(both[3][0])
    single[0][0]["action_set"] = None
    traffic.store(settings)
    found = read(settings, feedback_delay=timedelta(0))
    assert found.left_out == {"pending": 1, "cancelled": 1, "incomplete": 1, "no_propensity": 2}
    assert found.usable == 35
    # A decision without propensity was still made by its version and counts when that is measured.
    assert (found.of_version("1.0.0").usable, found.of_version("1.0.0").decisions) == (35, 37)


def test_decisions_whose_feedback_is_under_way_are_left_out(settings: Settings) -> None:
    """Feedback takes 30 s and stops with the log: the last 60 decisions, half a second apart, cannot be judged yet."""
    install(settings)
    traffic = generate(WEIGHTS, 400, seed=6, feedback_after_s=30.0)
    end = START + timedelta(seconds=200)
    traffic.feedback = [each for each in traffic.feedback if each.occurred_at <= end]
    traffic.store(settings)
    found = read(settings)
    assert found.feedback.delay_s == pytest.approx(30.1, abs=0.5)
    assert 55 <= found.left_out["awaiting_feedback"] <= 65
    settled = [each["reward"] for each in traffic.decisions[: found.usable]]
    assert found.of_version("1.0.0").value == pytest.approx(np.mean(settled), rel=1e-9)
    assert found.feedback.share > 0.99
    # Without the rule the newest decisions would look wrong, and the value too low.
    everything = read(settings, feedback_delay=timedelta(0))
    assert everything.usable == 400
    assert everything.of_version("1.0.0").value < found.of_version("1.0.0").value - 0.02


def test_without_quality_in_the_reward_nothing_awaits_feedback(settings: Settings) -> None:
    install(settings, reward={**REWARD, "qualityWeight": 0, "successWeight": 0.6})
    generate(WEIGHTS, 50, seed=7, judged=0.1).store(settings)
    found = read(settings)
    assert (found.usable, found.left_out, found.feedback.delay_s) == (50, {}, None)


def test_sampled_successes_count_for_those_that_were_dropped(settings: Settings) -> None:
    install(settings)
    traffic = generate(WEIGHTS, 3000, seed=8, arms=FRAGILE)
    sampled = settings.model_copy(update={"success_sample_rate": 0.3})
    traffic.store(sampled)
    found = read(sampled, feedback_delay=timedelta(0)).of_version("1.0.0")
    truth = np.mean([each["reward"] for each in traffic.decisions])
    kept = np.mean([each["reward"] for each in traffic.decisions if len(each["rows"]) > 1])
    assert found.decisions < 2000
    assert abs(found.value - truth) < 3.5 * found.se
    assert abs(kept - truth) > 0.1


def test_inputs_change_with_late_rows_and_only_with_inputs(settings: Settings) -> None:
    install(settings)
    generate(WEIGHTS, 30, seed=9).store(settings)
    before = read(settings)
    assert read(settings).inputs == before.inputs
    generate(WEIGHTS, 1, seed=10).store(settings)
    assert read(settings).inputs != before.inputs


def test_an_empty_lake_has_no_decisions(settings: Settings) -> None:
    install(settings)
    found = read(settings)
    assert (found.usable, found.left_out, found.versions, found.arms) == (0, {}, (), ())
    with pytest.raises(Refused, match=r"made 0 scored decisions") as refusal:
        measure(settings, POLICY, "1.0.0")
    assert refusal.value.reason == "too_few_decisions"


def test_an_empty_period_is_refused(settings: Settings) -> None:
    with pytest.raises(InvalidInput, match="period is empty"):
        read_decisions(settings, POLICY, UNTIL, SINCE)


def test_measured_difference_of_two_versions(settings: Settings) -> None:
    install(settings)
    better = {"small": 0.7, "medium": 0.2, "large": 0.1}
    logs: list[Traffic] = [
        generate(WEIGHTS, 400, seed=11),
        generate(better, 400, seed=12, version="1.0.1", start=START + timedelta(hours=1)),
    ]
    for log in logs:
        log.store(settings)
    before, after = (measure(settings, POLICY, v, feedback_delay=timedelta(0)) for v in ("1.0.0", "1.0.1"))
    values = [np.array([each["reward"] for each in log.decisions]) for log in logs]
    assert (before.value, after.value) == pytest.approx((values[0].mean(), values[1].mean()), rel=1e-9)
    gain, ci95 = difference(before, after)
    assert gain == pytest.approx(values[1].mean() - values[0].mean(), rel=1e-9)
    se = np.sqrt(values[0].var(ddof=1) / 400 + values[1].var(ddof=1) / 400)
    assert ci95 == pytest.approx((gain - t.ppf(0.975, 399) * se, gain + t.ppf(0.975, 399) * se), rel=1e-6)
    assert ci95[0] > 0


def test_difference_covers_the_true_difference() -> None:
    rng = np.random.default_rng(13)
    hits = 0
    for _ in range(1000):
        samples = [rng.normal(mean, sd, 300) for mean, sd in ((0.5, 0.2), (0.53, 0.3))]
        before, after = (
            Measurement("v", s.mean(), s.std(ddof=1) / np.sqrt(len(s)), len(s), (0.0, 0.0)) for s in samples
        )
        low, high = difference(before, after)[1]
        hits += low <= 0.03 <= high
    assert 930 <= hits <= 970


def test_decisions_are_cut_by_tenant_and_by_a_key_of_the_context(settings: Settings) -> None:
    install(settings)
    generate(WEIGHTS, 300, seed=21, context='{"task": "digits", "n": 3}').store(settings)
    patterns = read(settings, feedback_delay=timedelta(0), context_key="task").patterns()
    sizes = {
        slicing.name: {label: round(patterns.sums.n[rows].sum()) for label, rows in slicing.rows()}
        for slicing in patterns.slicings
    }
    assert sizes == {
        "tenant": {"tenant-a": 200, "tenant-b": 100},
        "context.task": {"(none)": 150, "digits": 150},
    }
    with pytest.raises(InvalidInput, match="quotation"):
        read(settings, context_key='task"')


def test_named_tenants_are_told_apart_however_small(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cogorch_dagster.evaluation.decision_query.MOST_LABELS", 1)
    install(settings)
    generate(WEIGHTS, 90, seed=22).store(settings)
    assert read(settings, feedback_delay=timedelta(0)).patterns().tenants == ("(others)", "tenant-a")
    kept = read(settings, feedback_delay=timedelta(0), tenants=["tenant-b"]).patterns()
    assert kept.tenants == ("tenant-a", "tenant-b")


def test_an_arm_that_no_action_set_names_counts_as_available(settings: Settings) -> None:
    """Weight on a new arm is not quietly shared out among the old ones: it never drew, so its mass is missing."""
    install(settings)
    generate(WEIGHTS, 200, seed=23).store(settings)
    patterns = read(settings, feedback_delay=timedelta(0)).patterns(arms=["new"])
    moved = patterns.weights({**{arm: weight / 2 for arm, weight in WEIGHTS.items()}, "new": 0.5})
    assert estimate(patterns, moved, "ips").value < 0.7 * estimate(patterns, patterns.weights(WEIGHTS), "ips").value
