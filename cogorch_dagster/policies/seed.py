"""What a new installation begins with: the documents of `seeds/`, through the same life cycle as all later ones."""

from collections.abc import Mapping
from importlib import resources
from typing import Any

import sqlalchemy as sa
import yaml

from cogorch_dagster.policies import administration, audit, decisions, drafts, flags, store
from cogorch_dagster.policies.activation import activate

ACTOR = "seed"
REASON = "initial document of the installation"


def seed(connection: sa.Connection) -> list[str]:
    """Create, approve and activate the seeds that are missing; changes nothing that exists.

    Does nothing while the kill switch is set: a policy that an upgrade brings then comes with the next call.

    Returns:
        References of what was activated, such as `router-core@1.0.0`.
    """
    audit.hold(connection)
    if not flags.get_flag(connection, flags.LEARNING):
        return []
    existing = {each.policy_id for each in store.policies(connection)}
    return [_plant(connection, each) for each in documents() if each["policyId"] not in existing]


def documents() -> list[Mapping[str, Any]]:
    """The seed documents in the order in which they are planted."""
    folder = resources.files("cogorch_dagster.policies") / "seeds"
    files = sorted((each for each in folder.iterdir() if each.name.endswith(".yaml")), key=lambda each: each.name)
    return [yaml.safe_load(each.read_text(encoding="utf-8")) for each in files]


def _plant(connection: sa.Connection, document: Mapping[str, Any]) -> str:
    policy_id = document["policyId"]
    administration.create_policy(connection, policy_id, document["kind"], document["component"], actor=ACTOR)
    draft = drafts.propose_version(connection, policy_id, document["params"], actor=ACTOR)
    decision = decisions.approve(connection, policy_id, draft.version, ACTOR, REASON, digest=draft.digest)
    activate(connection, decision.decision_id, ACTOR)
    return draft.ref
