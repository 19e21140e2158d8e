"""What training and tuning leave, as versions of the registry: agents and their hyperparameters.

An agent's version holds its checkpoint, the fleet that it was trained in and the digests of those that acted with it,
so that what was measured then can be measured again (`side_by_side.py`). How versions are kept is `registry/`; reward
models are registered by `features/`.
"""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.fleet.calibration.calibration import Calibration
from cogorch_dagster.fleet.calibration.store import latest
from cogorch_dagster.fleet.parameters import FleetParameters
from cogorch_dagster.fleet.signals import AGENTS, AgentName
from cogorch_dagster.platform import database
from cogorch_dagster.platform.code_version import code_version
from cogorch_dagster.policies.document import canonical_json, digest
from cogorch_dagster.policies.hyperparameters import policy_of
from cogorch_dagster.policies.store import PolicyVersion, active
from cogorch_dagster.registry import store as registry
from cogorch_dagster.registry.aliases import promote, set_alias
from cogorch_dagster.registry.records import Lineage, Registered
from cogorch_dagster.settings import Settings

if TYPE_CHECKING:
    from cogorch_dagster.agents.store import StoredCheckpoint
    from cogorch_dagster.tuning.confirmation import Confirmation
    from cogorch_dagster.tuning.studies import Planned, Study

CHECKPOINT, FLEET, COMPANY, PARAMS, STUDY = (
    "checkpoint.safetensors",
    "fleet.json",
    "company.json",
    "params.json",
    "study.json",
)
# Tags by which versions are found again.
CHECKPOINT_TAG, PARAMS_TAG = "checkpoint", "params"
_ATTEMPTS = 5


def agent_name(agent: AgentName) -> str:
    """The name of an agent's versions: `agent-policy` and so on."""
    if agent not in AGENTS:
        raise InvalidInput(f"there is no agent {agent!r}; the agents are {', '.join(AGENTS)}")
    return f"agent-{agent}"


def hyperparameters_name(policy_id: str) -> str:
    """The name of the versions of a policy's parameters: `hyperparameters-agent-policy` and so on."""
    return f"hyperparameters-{policy_id}"


def register_agents(
    settings: Settings,
    agents: "Mapping[AgentName, StoredCheckpoint]",
    parameters: FleetParameters,
    *,
    calibration: Calibration | None = None,
    policy_versions: Mapping[AgentName, str] | None = None,
    study: str | None = None,
) -> dict[AgentName, Registered]:
    """Register the checkpoints of one training, one version for each agent; registering them again changes nothing.

    Their metrics were measured while all of them acted together, so each version names the others. If this is
    interrupted, some of the versions are there; the same call completes them.

    Args:
        agents: all that learned in the training.
        parameters: of the fleet that they were trained in.
        calibration: where the parameters come from; without it the latest one, if these are its parameters.
        policy_versions: by agent the version of its hyperparameters that it was trained with.
        study: whose trial the training was.

    Raises:
        InvalidInput: no agent, or one that was trained in another fleet.
        Refused, Unavailable: a checkpoint cannot be loaded.
    """
    from cogorch_dagster.agents import checkpoints, store

    if not agents:
        raise InvalidInput("no agent is given to register")
    for agent, stored in agents.items():
        if stored.calibration != parameters.digest:
            raise InvalidInput(
                f"the checkpoint of agent {agent} was trained in the fleet {stored.calibration}, "
                f"not in {parameters.digest}; give the parameters that it was trained with"
            )
    calibration = _calibration(settings, parameters) if calibration is None else calibration
    company = {agent: stored.digest for agent, stored in agents.items()}
    found: dict[AgentName, Registered] = {}
    for agent, stored in agents.items():
        checkpoint = store.load(settings, stored)
        found[agent] = registry.register(
            settings,
            agent_name(agent),
            {
                CHECKPOINT: checkpoints.pack(checkpoint),
                FLEET: _json(parameters.model_dump(mode="json")),
                COMPANY: _json(company),
            },
            params={
                "algorithm": checkpoint.algorithm,
                "seed": checkpoint.seed,
                "steps": checkpoint.steps,
                **checkpoint.configuration,
            },
            metrics=checkpoint.metrics,
            lineage=Lineage(
                code_version=checkpoint.code_version,
                since=calibration.since if calibration else None,
                until=calibration.until if calibration else None,
                inputs=calibration.inputs if calibration else None,
                calibration=parameters.digest,
                run_id=stored.run_id,
                policy_version=(policy_versions or {}).get(agent),
                study=study,
            ),
            tags={CHECKPOINT_TAG: stored.digest},
        )
    return found


def register_hyperparameters(
    settings: Settings,
    policy_id: str,
    params: Mapping[str, Any],
    *,
    metrics: Mapping[str, float],
    lineage: Lineage,
    study: Mapping[str, Any] | None = None,
) -> Registered:
    """Register hyperparameters, by default as the candidate for those in force.

    Args:
        policy_id: whose parameters they are, such as `agent-policy`.
        params: complete, as the policy's kind has them.
        metrics: that were measured with them, such as the confirmed difference and the ends of its interval.
        study: the result of the study that found them, a JSON object.
    """
    made = _hyperparameters(settings, policy_id, params, metrics=metrics, lineage=lineage, study=study)
    return made if "champion" in made.aliases else set_alias(settings, made.name, "candidate", made.version)


def register_confirmed(settings: Settings, study: "Study[Planned]", confirmation: "Confirmation") -> Registered:
    """Register the confirmed winner of a study as the candidate, with what it earned on fresh seeds.

    Registering it again changes nothing.
    """
    plan, found = study.plan, confirmation.found
    policy_id, calibration = policy_of(plan.agent), _calibration(settings, plan.parameters)
    return register_hyperparameters(
        settings,
        policy_id,
        confirmation.params,
        metrics={
            "gain": found.mean,
            "gain_low": found.low,
            "gain_high": found.high,
            "normalised_return": found.candidate,
            "normalised_return_in_force": found.baseline,
        },
        lineage=Lineage(
            code_version=plan.code,
            since=calibration.since if calibration else None,
            until=calibration.until if calibration else None,
            inputs=calibration.inputs if calibration else None,
            calibration=plan.parameters.digest,
            policy_version=None if confirmation.version is None else f"{policy_id}@{confirmation.version}",
            study=study.name,
        ),
        study=confirmation.document(),
    )


def follow(settings: Settings, policy_id: str) -> Registered | None:
    """Make the champion of a policy's parameters those in force; None if no version is in force.

    What nobody registered, as the seeds or what a person wrote, is registered here. Safe to call at any time and from
    several processes: whoever is last has looked last.
    """
    name = hyperparameters_name(policy_id)
    champion = None
    for _ in range(_ATTEMPTS):
        with database.transaction(settings) as connection:
            current = active(connection, policy_id)
        if current is None:
            return None
        if champion is not None and champion.tags.get(PARAMS_TAG) == current.digest:
            break
        known = registry.of_tag(settings, name, PARAMS_TAG, current.digest)
        version = known or _in_force(settings, current)
        champion = promote(settings, name, version.version)
    return champion


def _in_force(settings: Settings, version: PolicyVersion) -> Registered:
    lineage = Lineage(code_version=code_version(), policy_version=version.ref)
    return _hyperparameters(settings, version.policy_id, version.params, metrics={}, lineage=lineage, study=None)


def _hyperparameters(
    settings: Settings,
    policy_id: str,
    params: Mapping[str, Any],
    *,
    metrics: Mapping[str, float],
    lineage: Lineage,
    study: Mapping[str, Any] | None,
) -> Registered:
    files = {PARAMS: _json(params)} | ({} if study is None else {STUDY: _json(study)})
    name, tags = hyperparameters_name(policy_id), {PARAMS_TAG: digest(params)}
    return registry.register(settings, name, files, params=params, metrics=metrics, lineage=lineage, tags=tags)


def _calibration(settings: Settings, parameters: FleetParameters) -> Calibration | None:
    with database.transaction(settings) as connection:
        found = latest(connection)
    return found if found is not None and found.parameters.digest == parameters.digest else None


def _json(document: object) -> bytes:
    canonical_json(document)  # Refuses, with its path, what is not JSON; here 1.0 is to stay a float.
    return json.dumps(document, sort_keys=True, indent=1, allow_nan=False, default=dict).encode()
