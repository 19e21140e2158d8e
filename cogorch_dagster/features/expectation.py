"""What the reward models in use expect of a component's decisions, for those who look for drift."""

from collections.abc import Callable
from datetime import datetime

from cogorch_dagster.errors import CogorchError
from cogorch_dagster.evaluation.decision_rows import read_first_draws
from cogorch_dagster.evaluation.drift.expected import Expectation, Expected
from cogorch_dagster.features.decision_rewards import DecisionRewards, contexts
from cogorch_dagster.features.reward_registry import champion
from cogorch_dagster.platform.database import transaction
from cogorch_dagster.policies import store
from cogorch_dagster.settings import Settings


def by_mix(settings: Settings, tell: Callable[[str], None]) -> Expectation:
    """The expectation by the mix alone: arm, tenant and context, nothing that follows from outcomes.

    Args:
        tell: what keeps a reward model from being used; looking for drift goes on without it.
    """

    def expected(component: str, since: datetime, until: datetime) -> Expected | None:
        try:
            return _expected(settings, component, since, until)
        except CogorchError as error:
            tell(f"the reward model of {component} is not used: {error}")
            return None

    return expected


def _expected(settings: Settings, component: str, since: datetime, until: datetime) -> Expected | None:
    with transaction(settings) as connection:
        routers = [each for each in store.active_of_kind(connection, "router") if each.component == component]
    found = champion(settings, routers[0].policy_id) if routers else None
    return None if found is None else of_mix(settings, found.version.ref, found.rewards, since, until)


def of_mix(
    settings: Settings, model: str, rewards: DecisionRewards, since: datetime, until: datetime
) -> Expected | None:
    """What one reward model expects of the decisions that began in [since, until); None where there are none.

    Args:
        model: what to call it, such as its version.
    """
    drawn = read_first_draws(settings, rewards.policy, since, until)
    if not len(drawn.reward):
        return None
    known = contexts(settings, rewards.policy, rewards.context, since, until).of(drawn.decision_id)
    return Expected(
        model=model,
        started_us=drawn.started_us,
        reward=drawn.reward,
        expected=rewards.mix.expected_of(known, drawn.tenant, drawn.arm),
        weight=drawn.weight,
        tenant=drawn.tenant,
        arm=drawn.arm,
    )
