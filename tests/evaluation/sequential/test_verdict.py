"""Each verdict with its reason, the order in which they win, guardrails, and how alpha is divided."""

from dataclasses import replace

import numpy as np
import pytest

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.evaluation.sequential import means
from cogorch_dagster.evaluation.sequential.quantiles import quantile_difference
from cogorch_dagster.evaluation.sequential.verdict import (
    ArmData,
    Guardrail,
    GuardrailState,
    Judgement,
    Moments,
    Sample,
    Step,
    Verdict,
    judge,
    judge_steps,
)

FAILURES = Guardrail("failures", 0.01)
LATENCY = Guardrail("latency", 40.0, quantile=0.95, span=1_000.0)
THROUGHPUT = Guardrail("throughput", 5.0, higher_is_better=True, span=100.0)


def _rates(n: int, rate: float) -> Moments:
    return Moments(n, rate, rate * (1 - rate))


def _arm(mean: float, n: int = 4_000, failures: float = 0.01) -> ArmData:
    return ArmData(Moments(n, mean, 0.0625), {"failures": _rates(n, failures)})


def _judged(treatment: ArmData, *guardrails: Guardrail, n: int = 4_000) -> Judgement:
    return judge(_arm(0.5, n), treatment, expected_share=0.5, guardrails=guardrails)


@pytest.mark.parametrize(
    ("mean", "n", "verdict", "words"),
    [
        (0.53, 4_000, Verdict.better, "Better: the reward changed by +0.0300 (95 % interval 0.01"),
        (0.47, 4_000, Verdict.worse, "Worse: the reward changed by -0.0300"),
        (0.501, 40_000, Verdict.equivalent, "less than the minimum effect of 0.01"),
        (0.51, 4_000, Verdict.not_enough_data, "does not tell a gain from a loss"),
        (0.508, 40_000, Verdict.not_enough_data, "whether by the minimum effect of 0.01 is not known"),
        (0.9, 49, Verdict.not_enough_data, "control has 49 rewards and treatment 49, both need 50"),
    ],
)
def test_the_reward_alone(mean: float, n: int, verdict: Verdict, words: str) -> None:
    judged = _judged(_arm(mean, n), n=n)
    assert judged.verdict is verdict
    assert words in judged.reason and judged.reason.endswith(".")
    assert judged.difference == pytest.approx(mean - 0.5)
    assert (judged.n_control, judged.n_treatment) == (n, n)


def test_no_traffic_is_never_a_pass() -> None:
    judged = judge(_arm(0.5), ArmData(Moments(0, 0.0, 0.0), {"failures": Moments(0, 0.0, 0.0)}), expected_share=0.0001)
    assert (judged.verdict, judged.difference, judged.interval) == (Verdict.not_enough_data, None, None)


def test_a_breach_makes_a_better_reward_worse() -> None:
    judged = _judged(_arm(0.6, failures=0.05), FAILURES)
    assert judged.verdict is Verdict.worse and judged.breached == ("failures",)
    assert "failures changed by +0.04" in judged.reason and "accepted 0.01" in judged.reason
    held = _judged(_arm(0.6, failures=0.01), FAILURES)
    assert held.verdict is Verdict.better and held.metrics[0].state is GuardrailState.held
    assert "all 1 guardrails hold" in held.reason


def test_an_undecided_guardrail_holds_a_pass_back_but_not_a_loss() -> None:
    undecided = _judged(_arm(0.6, failures=0.018), FAILURES)
    assert undecided.metrics[0].state is GuardrailState.undecided
    assert undecided.verdict is Verdict.not_enough_data and "may still be worse" in undecided.reason
    assert _judged(_arm(0.4, failures=0.018), FAILURES).verdict is Verdict.worse


def test_a_guardrail_waits_for_its_own_minimum() -> None:
    few = replace(_arm(0.6), guardrails={"failures": _rates(20, 0.9)})
    judged = _judged(few, FAILURES)
    assert judged.verdict is Verdict.not_enough_data
    assert "failures has 20 observations in the smaller arm, 50 are needed" in judged.reason


def test_arms_without_one_failure_hold_once_there_are_enough_of_them() -> None:
    states = [
        judge(_arm(0.6, n, 0.0), _arm(0.6, n, 0.0), expected_share=0.5, guardrails=[FAILURES]).metrics[0].state
        for n in (100, 2_000)
    ]
    assert states == [GuardrailState.undecided, GuardrailState.held]


def test_higher_is_better_turns_the_margin_round() -> None:
    def with_throughput(mean: float) -> ArmData:
        return ArmData(Moments(4_000, 0.5, 0.0625), {"throughput": Moments(4_000, mean, 100.0)})

    states = {
        mean: judge(with_throughput(50), with_throughput(mean), expected_share=0.5, guardrails=[THROUGHPUT])
        .metrics[0]
        .state
        for mean in (40.0, 45.0, 48.0, 60.0)
    }
    expected = [GuardrailState.breached, GuardrailState.undecided, GuardrailState.held, GuardrailState.held]
    assert list(states.values()) == expected


def test_a_slow_tail_is_breached_by_its_quantile() -> None:
    rng = np.random.default_rng(4)

    def arm(scale: float) -> ArmData:
        return ArmData(Sample(rng.normal(0.5, 0.1, 5_000)), {"latency": Sample(rng.exponential(scale, 5_000))})

    control = arm(100.0)
    assert judge(control, arm(160.0), expected_share=0.5, guardrails=[LATENCY]).breached == ("latency",)
    same = judge(control, arm(100.0), expected_share=0.5, guardrails=[replace(LATENCY, margin=120.0)])
    assert same.metrics[0].state is GuardrailState.held
    moments = ArmData(Moments(5_000, 0.5, 0.01), {"latency": Moments(5_000, 100.0, 1e4)})
    with pytest.raises(InvalidInput, match="needs its values"):
        judge(moments, moments, expected_share=0.5, guardrails=[LATENCY])


def test_a_quantile_is_judged_over_the_steps_of_a_ramp() -> None:
    rng = np.random.default_rng(5)

    def step(level: float, slower: float, share: float) -> Step:
        n = 4_000
        latency = [rng.exponential(100, int(n * part)) + level for part in (1 - share, share)]
        arms = [ArmData(Sample(rng.normal(0.5, 0.1, len(each))), {"latency": Sample(each)}) for each in latency]
        slow = ArmData(arms[1].reward, {"latency": Sample(latency[1] + slower)})
        return Step(arms[0], slow, share)

    ramp = [step(level, 0.0, share) for level, share in ((0.0, 0.25), (300.0, 0.5))]
    median = Guardrail("latency", 40.0, quantile=0.5)
    # Both steps together would make the treatment, which has most of its traffic in the slow hours, look slower by far.
    assert judge_steps(ramp, guardrails=[median]).metrics[0].state is GuardrailState.held
    late = [step(0.0, 0.0, 0.25), step(0.0, 200.0, 0.5)]
    assert judge_steps(late, guardrails=[median]).breached == ("latency",)


def test_a_split_that_was_not_intended_is_invalid_and_still_tells_of_a_breach() -> None:
    judged = judge(_arm(0.5, 4_000), _arm(0.6, 3_000, 0.2), expected_share=0.5, guardrails=[FAILURES])
    assert judged.verdict is Verdict.invalid and judged.breached == ("failures",)
    assert "3,000 of 7,000 units where 3,500 were intended" in judged.reason
    assert "failures changed by" in judged.reason
    allocated = judge(
        replace(_arm(0.5, 4_000), allocated=4_000), replace(_arm(0.6, 3_000), allocated=4_010), expected_share=0.5
    )
    assert allocated.verdict is Verdict.better  # every unit was sent as intended, some have no reward yet


@pytest.mark.parametrize("where", ["reward", "failures"])
def test_values_that_are_not_numbers_are_invalid(where: str) -> None:
    values = np.array([0.5] * 99 + [np.nan])
    good = _arm(0.5, 100)
    bad = (
        replace(good, reward=Sample(values)) if where == "reward" else replace(good, guardrails={where: Sample(values)})
    )
    judged = judge(good, bad, expected_share=0.5, guardrails=[FAILURES])
    assert judged.verdict is Verdict.invalid and judged.reason.startswith(f"Invalid: {where} holds values")


def test_constants_are_equivalent_only_after_enough_of_them() -> None:
    verdicts = [_constant(n).verdict for n in (60, 3_000)]
    assert verdicts == [Verdict.not_enough_data, Verdict.equivalent]


def _constant(n: int) -> Judgement:
    arm = ArmData(Sample(np.full(n, 0.78)))
    return judge(arm, arm, expected_share=0.5)


def test_alpha_is_shared_between_the_reward_and_the_guardrails() -> None:
    guardrails = [replace(FAILURES, name=name) for name in ("failures", "other")]
    arm = ArmData(Moments(4_000, 0.5, 0.0625), {each.name: _rates(4_000, 0.01) for each in guardrails})
    alone = judge(arm, arm, expected_share=0.5)
    judged = judge(arm, arm, expected_share=0.5, guardrails=guardrails)
    reward = means.difference(
        means.stacked([arm.reward]), means.stacked([arm.reward]), target=means.target_information(2_000, 0.5, 50)
    )
    assert alone.interval == pytest.approx([float(end) for end in reward.interval(0.05)])
    assert judged.interval == pytest.approx([float(end) for end in reward.interval(0.025)])
    assert [each.alpha for each in judged.metrics] == [0.0125, 0.0125]


def test_with_three_guardrails_false_verdicts_stay_below_alpha() -> None:
    rng = np.random.default_rng(8)
    guardrails = [Guardrail(name, 0.0) for name in ("failures", "refusals", "retries")]
    streams, looks, alarms = 200, 12, 0
    for _ in range(streams):
        reward = rng.random((2, 3_000))
        events = {each.name: (rng.random((2, 3_000)) < 0.05) * 1.0 for each in guardrails}
        for n in np.geomspace(100, 3_000, looks).astype(int):
            arms = [
                ArmData(Sample(reward[k, :n]), {name: Sample(each[k, :n]) for name, each in events.items()})
                for k in (0, 1)
            ]
            judged = judge(*arms, expected_share=0.5, guardrails=guardrails)
            if judged.verdict in (Verdict.better, Verdict.worse):
                alarms += 1
                break
    assert alarms / streams <= 0.05


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"expected_share": 1.0}, "expected_share must lie between 0 and 1"),
        ({"alpha": 0.0}, "alpha must lie"),
        ({"mismatch_alpha": 1.0}, "mismatch_alpha must lie"),
        ({"minimum_effect": -0.1}, "minimum_effect must be 0 or more"),
        ({"minimum_per_arm": 1}, "at least 2"),
        ({"guardrails": [Guardrail("cost", 0.1)]}, "no 'cost'"),
    ],
)
def test_settings_out_of_range_are_refused(settings: dict, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        judge(_arm(0.5), _arm(0.5), **{"expected_share": 0.5, **settings})


def test_quantiles_share_alpha_among_the_steps_that_a_ramp_can_have() -> None:
    rng = np.random.default_rng(6)
    arm = ArmData(Sample(rng.random(2_000)), {"latency": Sample(rng.exponential(100, 2_000))})
    step = Step(arm, arm, 0.5)
    one, eight = (judge_steps([step], guardrails=[LATENCY], most_steps=most).metrics[0] for most in (1, 8))
    assert one.interval is not None and eight.interval is not None
    low, high = quantile_difference(
        arm.guardrails["latency"].values, arm.guardrails["latency"].values, 0.95, 0.025 / 8, target_size=1_000
    )[1:]
    assert eight.interval == (low, high)
    assert eight.interval[0] < one.interval[0] < one.interval[1] < eight.interval[1]


def test_impossible_questions_are_refused() -> None:
    step = Step(_arm(0.5), _arm(0.5), 0.5)
    with pytest.raises(InvalidInput, match="more than most_steps"):
        judge_steps([step, step], most_steps=1)
    with pytest.raises(InvalidInput, match="no step"):
        judge_steps([])
    with pytest.raises(InvalidInput, match="margin"):
        Guardrail("cost", -1.0)
    with pytest.raises(InvalidInput, match="quantile"):
        Guardrail("cost", 1.0, quantile=1.0)
    with pytest.raises(InvalidInput, match="span"):
        Guardrail("cost", 1.0, span=0.0)
    with pytest.raises(InvalidInput, match="allocated"):
        ArmData(Moments(5, 0.5, 0.1), allocated=4)
