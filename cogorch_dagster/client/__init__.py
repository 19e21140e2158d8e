"""What a component of the fleet imports: send observations, follow the active policy.

Stands alone: the standard library and httpx, nothing else of this project, so that a router can vendor this package.

    with ObservationClient(url, token, Path("spool")) as observations:
        observations.send({...})
    with PolicyFollower(url, token, "router-core", Path("policy.json")) as follower:
        follower.current
        follower.assignment(session).params
"""

from cogorch_dagster.client.assignment import Assignment, CanaryDocument, canary_tags, takes_part
from cogorch_dagster.client.document import PolicyDocument
from cogorch_dagster.client.follower import PolicyFollower
from cogorch_dagster.client.observations import ObservationClient
from cogorch_dagster.client.stats import ClientStats

__all__ = [
    "Assignment",
    "CanaryDocument",
    "ClientStats",
    "ObservationClient",
    "PolicyDocument",
    "PolicyFollower",
    "canary_tags",
    "takes_part",
]
