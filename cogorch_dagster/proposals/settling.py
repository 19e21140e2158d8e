"""Damping: nothing is proposed from data that an unjudged version has made.

A version that takes over traffic changes what is observed. Were the next proposal to rest on that before anyone has
judged it, each proposal would chase the last. A version counts as judged once its ramp has ended, or it has come into
force at once (then `requirements` asks for enough decisions of its own); while it ramps, or was never activated, not.
"""

from cogorch_dagster.errors import Refused
from cogorch_dagster.evaluation.decisions import Decisions
from cogorch_dagster.platform.database import transaction
from cogorch_dagster.policies import store
from cogorch_dagster.policies.store import PolicyVersion
from cogorch_dagster.settings import Settings

UNJUDGED = ("draft", "approved", "canary")
MOST = 0.5


def require_judged(settings: Settings, active: PolicyVersion, found: Decisions) -> None:
    """Raises Refused(`unjudged`) when more than half of the usable decisions come from versions not yet judged."""
    with transaction(settings) as connection:
        status = {each.version: each.status for each in store.versions(connection, active.policy_id)}
    pending = {str(each.version): each.usable for each in found.versions if status.get(str(each.version)) in UNJUDGED}
    share = sum(pending.values()) / found.usable if found.usable else 0.0
    if share > MOST:
        listed = ", ".join(f"{version} ({status[version]}) {count}" for version, count in sorted(pending.items()))
        raise Refused(
            "unjudged",
            f"{share:.1%} of the {found.usable} decisions of {active.policy_id} were made by versions not yet judged: "
            f"{listed}; at most {MOST:.0%} may be. Wait for the end of the ramp, or begin the period before it.",
        )
