"""What is read from the lake is what the same rows give by hand: buckets, parameters, mixes, outcomes and tiers."""

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from cogorch_dagster.causal.data.dataset import CausalDataset
from cogorch_dagster.causal.data.reading import components, read_dataset
from cogorch_dagster.causal.data.tiers import default_knowledge
from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.settings import Settings
from tests.causal.data.lake import COMPONENT, START, Requests, autoscaled, store
from tests.evaluation.traffic import POLICY, REWARD, ROUTER, bring_into_force, install

END = START + timedelta(hours=4)
MINUTE = timedelta(minutes=1)
NEW = {**ROUTER, "modelWeights": {"small": 0.5, "medium": 0.0, "large": 0.5}, "timeoutMs": 800}


@pytest.fixture
def requests(settings: Settings) -> Requests:
    install(settings)
    assert bring_into_force(settings, POLICY, NEW) == "1.0.1"
    made = autoscaled(3)
    store(settings, made)
    store(settings, autoscaled(4, hours=1), component="dagster:job", source="dagster")
    return made


def score(frame: pd.DataFrame) -> pd.Series:
    """The reward of each row by the configuration that `install` activates."""
    made = REWARD["base"] + np.where(frame["failed"], -REWARD["errorWeight"], REWARD["successWeight"])
    made -= REWARD["latencyWeight"] * np.minimum(frame["duration_ms"] / REWARD["maxLatencyMs"], 1)
    made -= REWARD["costWeight"] * np.minimum(frame["cost"] / REWARD["maxCostUsd"], 1)
    return np.clip(made, 0, 1)


def by_hand(requests: Requests) -> pd.DataFrame:
    """One row a minute, from the arrays."""
    frame = pd.DataFrame(dict(requests.columns))
    first, w = frame["attempt"] == 1, frame["weight"]
    groups = frame.groupby("minute")

    def mean(values: pd.Series, where: pd.Series | None = None) -> pd.Series:
        held = w if where is None else w * where
        return (values * held).groupby(frame["minute"]).sum() / held.groupby(frame["minute"]).sum()

    success = (w * ~frame["failed"]).groupby([frame["minute"], frame["tenant"]]).sum()
    success /= w.groupby([frame["minute"], frame["tenant"]]).sum()
    enough = frame.groupby(["minute", "tenant"]).size() >= 5
    shares = success[enough].unstack()
    return pd.DataFrame(
        {
            "load": (w * first).groupby(frame["minute"]).sum(),
            "input_tokens": mean(frame["tokens"], first),
            "tenant:acme": mean((frame["tenant"] == "acme").astype(float), first),
            "share:large": mean((frame["action"] == "large").astype(float), first),
            "context:replicas": mean(frame["replicas"]),
            "context:surge": mean(frame["surge"].astype(float)),
            "param:modelWeights.large": mean(pd.Series(np.where(frame["version"] == "1.0.1", 0.5, 0.6))),
            "param:timeoutMs": mean(pd.Series(np.where(frame["version"] == "1.0.1", 800.0, 1000.0))),
            "queue_ms": mean(frame["queue_ms"]),
            "latency_ms": mean(frame["duration_ms"]),
            "error_share": mean(frame["failed"].astype(float)),
            "cost_usd": (w * frame["cost"]).groupby(frame["minute"]).sum() / (w * first).groupby(frame["minute"]).sum(),
            "unfairness": (shares.max(axis=1) - shares.min(axis=1)).where(shares.count(axis=1) > 1),
            "reward": mean(score(frame)),
            "n": groups.size(),
        }
    )


def test_every_column_is_the_mean_of_its_rows_or_set_aside_with_a_reason(
    settings: Settings, requests: Requests
) -> None:
    found = read_dataset(settings, COMPONENT, START, END, bucket=MINUTE)
    truth = by_hand(requests)
    truth = truth[truth.pop("n") >= 5]
    assert found.rows == len(truth)
    assert (found.times == START.timestamp() + truth.index.to_numpy() * 60).all()
    for name in truth:
        np.testing.assert_allclose(found.column(name), truth[name], rtol=1e-9, atol=1e-12, err_msg=name)
    assert found.since == START and found.until == END and found.inputs.startswith("sha256:")
    aside = {each.name: each.reason for each in found.set_aside}
    assert aside["share:small"] == "is 1 less the shares of large"
    assert aside["tenant:initech"] == "is 1 less the shares of acme, globex"
    assert aside["context:topic"] == "is not a number"
    assert aside["param:latencyTargetMs"] == "is constant at 100"
    with pytest.raises(InvalidInput, match="set aside: is constant at 100"):
        found.column("param:latencyTargetMs")
    assert not any(name.startswith("ttft") for name in (*found.names, *aside))


def test_tiers_put_the_past_before_load_before_policy_before_outcomes(settings: Settings, requests: Requests) -> None:
    found = read_dataset(settings, COMPONENT, START, END, bucket=MINUTE)
    knowledge = default_knowledge(found)
    knowledge.check(found.names)
    forbidden = knowledge.forbidden_matrix(found.names)

    def may(cause: str, effect: str) -> bool:
        return not forbidden[found.index(cause), found.index(effect)]

    assert may("load", "context:replicas") and not may("context:replicas", "load")
    assert may("param:timeoutMs", "context:replicas") and not may("context:replicas", "param:timeoutMs")
    assert may("param:modelWeights.large", "share:large") and may("share:large", "latency_ms")
    assert may("queue_ms", "latency_ms") and not may("latency_ms", "queue_ms")
    assert not may("param:timeoutMs", "param:modelWeights.large")
    assert not may("param:modelWeights.large", "param:timeoutMs")
    assert not may("tenant:acme", "tenant:globex") and may("tenant:acme", "load")
    assert may("latency_ms", "error_share") and may("error_share", "latency_ms")
    assert may("latency_ms", "reward") and not may("reward", "latency_ms")
    roles = {variable.name: variable.role for variable in found.variables}
    assert roles["context:replicas"] == roles["share:large"] == roles["param:timeoutMs"] == "policy"
    assert roles["load"] == roles["context:surge"] == "context"
    plain, found = found, read_dataset(settings, COMPONENT, START, END, bucket=MINUTE, lags=1)
    assert found.rows == plain.rows - len(np.unique(plain.groups))
    follows = np.flatnonzero(np.diff(plain.times) == 60)
    np.testing.assert_array_equal(found.column("latency_ms@-1"), plain.column("latency_ms")[follows])
    np.testing.assert_array_equal(found.column("latency_ms"), plain.column("latency_ms")[follows + 1])
    forbidden = default_knowledge(found).forbidden_matrix(found.names)
    assert not forbidden[found.index("latency_ms@-1"), found.index("context:replicas")]
    assert forbidden[found.index("load"), found.index("latency_ms@-1")]


def test_buckets_make_enough_rows_lie_in_the_period_and_are_the_same_again(
    settings: Settings, requests: Requests
) -> None:
    found = read_dataset(settings, COMPONENT, START, END)
    width = int(np.diff(found.times).min())
    assert width in {10, 15, 30} and found.rows >= 200
    narrower = read_dataset(settings, COMPONENT, START, END, bucket=timedelta(seconds=5))
    assert narrower.rows < found.rows or width <= 15
    assert (np.diff(found.times)[np.diff(found.groups) == 0] == width).all()
    since, until = START + timedelta(minutes=10, seconds=1), START + timedelta(minutes=50, seconds=59)
    found = read_dataset(settings, COMPONENT, since, until, bucket=MINUTE)
    begin = START.timestamp()
    assert found.times[0] == begin + 11 * 60 and found.times[-1] == begin + 49 * 60
    whole = read_dataset(settings, COMPONENT, START, END, bucket=MINUTE)
    same = np.isin(whole.times, found.times)
    np.testing.assert_allclose(found.column("latency_ms"), whole.column("latency_ms")[same], rtol=1e-12)
    one, two = (read_dataset(settings, COMPONENT, START, END, bucket=MINUTE) for _ in range(2))
    assert one.inputs == two.inputs and one.digest == two.digest
    store(settings, autoscaled(5, hours=1), component="other", source="other")
    assert read_dataset(settings, COMPONENT, START, END, bucket=MINUTE).inputs != one.inputs


def test_what_cannot_be_read_says_why(settings: Settings, requests: Requests) -> None:
    def read(*args: object, **options: object) -> CausalDataset:
        return read_dataset(settings, *args, **options)  # type: ignore[arg-type]

    assert components(settings, START, END) == [COMPONENT]
    with pytest.raises(InvalidInput, match=r"'nobody' has no observations .*there are dagster:job, router:core"):
        read("nobody", START, END)
    with pytest.raises(InvalidInput, match="swap them"):
        read(COMPONENT, END, START)
    with pytest.raises(InvalidInput, match="choose a later"):
        read(COMPONENT, START, START + timedelta(days=401))
    with pytest.raises(InvalidInput, match="does not divide a day"):
        read(COMPONENT, START, END, bucket=timedelta(minutes=7))
    with pytest.raises(InvalidInput, match="take a longer period"):
        read(COMPONENT, START, START + MINUTE, bucket=MINUTE)
    with pytest.raises(InvalidInput, match="'dagster:job' has no observations"):
        read("dagster:job", START, END)
