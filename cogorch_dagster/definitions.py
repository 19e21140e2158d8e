"""The one Dagster code location. Everything it names is defined in `assets/`, `jobs/`, `sensors/` and `resources/`.

Loaded again for every run and step, so what it imports at module level stays light; engine modules that are not wait
inside the functions that need them.
"""

from collections.abc import Mapping
from typing import Any

import dagster as dg

from assets.active_policy import active_policy
from assets.agent_checkpoints import agent_checkpoints
from assets.agent_checks import agent_checks
from assets.architectures import architectures
from assets.canary import canaries_sound, canary
from assets.causal_dataset import causal_dataset
from assets.causal_effects import causal_effects
from assets.causal_graph import causal_graph
from assets.causal_graph_checks import graph_checks
from assets.checks import policy_approved, statistics_current
from assets.coordination import coordination, equilibrium_verified
from assets.drift import drift, no_open_incident
from assets.engineered_features import engineered_features, no_leakage
from assets.fleet_calibration import calibration_fits, calibration_inputs, fleet_calibration
from assets.insights import insights
from assets.observation_checks import observation_checks
from assets.observations import observations, sources
from assets.policy_versions import policy_versions
from assets.recommendations import recommendations
from assets.reward_models import no_look_ahead, reward_models, rewards_calibrated
from assets.rewards import rewards
from assets.rolling_stats import rolling_stats
from assets.rollups import rollups
from assets.tuned_hyperparameters import tuned_hyperparameters
from assets.tuning_checks import tuning_checks
from jobs.causes import causes
from jobs.clean_up import clean_up
from jobs.gate import activation, canary_step, review, rollback
from jobs.learning import learning_loop, tuning
from jobs.schedules import schedules
from jobs.training import retraining
from jobs.tuning_agents import architecture_search, feature_engineering, hyperparameter_tuning
from jobs.watching import watch
from resources.installation import CogorchResource
from sensors.decisions import waiting_decisions
from sensors.drift import new_scores, regime_changes
from sensors.falling_agents import falling_agents
from sensors.hours import new_or_stale_hours
from sensors.low_reward import low_reward
from sensors.ramps import running_ramps
from sensors.retraining import retraining_due


def build_defs(*, resource_overrides: Mapping[str, Any] | None = None) -> dg.Definitions:
    """The real definitions, on other resources where a test or another deployment wants them.

    Raises:
        ValueError: an override names no resource.
    """
    resources: dict[str, Any] = {"cogorch": CogorchResource()}
    unknown = sorted(set(resource_overrides or {}) - set(resources))
    if unknown:
        raise ValueError(f"there is no resource {', '.join(unknown)}; known: {', '.join(resources)}")
    return dg.Definitions(
        assets=[
            *sources,
            *(observations, rewards, rollups, rolling_stats, drift),
            *(policy_versions, canary, active_policy),
            *(causal_dataset, causal_graph, causal_effects, insights),
            *(fleet_calibration, agent_checkpoints, coordination, recommendations),
            *(tuned_hyperparameters, architectures, engineered_features, reward_models),
        ],
        asset_checks=[
            *(policy_approved, canaries_sound, observation_checks, statistics_current, no_open_incident),
            *graph_checks,
            *(calibration_fits, calibration_inputs, *agent_checks, equilibrium_verified),
            *(*tuning_checks, no_leakage, rewards_calibrated, no_look_ahead),
        ],
        jobs=[
            *(learning_loop, tuning, review, activation, canary_step, rollback, watch, causes, clean_up, retraining),
            *(hyperparameter_tuning, architecture_search, feature_engineering),
        ],
        schedules=schedules,
        sensors=[
            *(new_or_stale_hours, low_reward, waiting_decisions, running_ramps, new_scores, regime_changes),
            *(retraining_due, falling_agents),
        ],
        resources={**resources, **(resource_overrides or {})},
        # A process for each step costs seconds, the steps themselves mostly less.
        executor=dg.in_process_executor,
    )


defs = build_defs()
