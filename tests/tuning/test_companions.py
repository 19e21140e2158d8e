"""Conflicts are measured beside the stored agents that the plan names: the same for every trial, wherever it runs."""

import pytest

from cogorch_dagster.agents import store
from cogorch_dagster.errors import InvalidInput, Refused
from cogorch_dagster.platform.database import transaction
from cogorch_dagster.settings import Settings
from cogorch_dagster.tuning.budget import Budget
from cogorch_dagster.tuning.companions import acting
from cogorch_dagster.tuning.objective import measure
from cogorch_dagster.tuning.planning import plan_for
from cogorch_dagster.tuning.search import real_trainings, run
from cogorch_dagster.tuning.study import Plan, begin, name_of
from tests.tuning.registered_training import short_fleet, trained
from tests.tuning.tiny import PPO

BUDGET = Budget(episodes=1, evaluation_episodes=2, fleets=2, seeds=1)


def planned(settings: Settings, **changes: object) -> Plan:
    with transaction(settings) as connection:
        return plan_for(
            connection, "ethical", short_fleet(), budget=BUDGET, objectives=["reward", "conflicts"], **changes
        )


def test_conflicts_need_agents_to_conflict_with(settings: Settings) -> None:
    with pytest.raises(InvalidInput, match="no checkpoint of policy, consensus, resource; run `cogorch agents train`"):
        planned(settings)


def test_every_trial_acts_beside_the_same_agents(settings: Settings) -> None:
    first = trained(settings, 3)
    plan = planned(settings)
    others = ("policy", "consensus", "resource")
    assert dict(plan.companions) == {agent: first.agents[agent].digest for agent in others}
    with transaction(settings) as connection:
        study = begin(connection, name_of(plan), plan)
    # Agents that are trained later are in another plan.
    trained(settings, 1)
    later = planned(settings)
    assert name_of(later) != name_of(plan) and set(later.companions) == set(others)

    found = run(settings, study, 3)
    assert found.count("complete") == 3
    conflicts = [each.conflicts for each in found.trials]
    assert None not in conflicts and max(each or 0.0 for each in conflicts) > 0
    assert [each.values and each.values[1] for each in found.trials] == conflicts
    for trial in found.trials:
        (again,) = real_trainings(settings, plan)(plan, trial.params, bool)
        assert again.conflicts == trial.conflicts
    alone = measure(short_fleet(), "ethical", PPO, 0, BUDGET)
    beside = measure(short_fleet(), "ethical", PPO, 0, BUDGET, companions=acting(settings, plan.companions))
    assert alone.conflicts is None and beside.conflicts is not None
    # The return is still that of the agent alone, as the search for it has always had it.
    assert (alone.reward, alone.by_seed) == (beside.reward, beside.by_seed)

    store.remove(settings, plan.companions["policy"])
    with pytest.raises(Refused, match=r"cannot act any more: there is no checkpoint .*Begin another study") as refused:
        run(settings, study, 4)
    assert refused.value.reason == "missing_companion"
    with pytest.raises(Refused):
        run(settings, study, 4, workers=2)
