"""What a component of the fleet imports: send observations, follow the active policy.

Stands alone: the standard library and httpx, nothing else of this project, so that a router can vendor this package.

    with ObservationClient(url, token, Path("spool")) as observations:
        observations.send({...})
    with PolicyFollower(url, token, "router-core", Path("policy.json")) as follower:
        follower.current
"""

from cogorch_dagster.client.follower import PolicyDocument, PolicyFollower
from cogorch_dagster.client.observations import ClientStats, ObservationClient

__all__ = ["ClientStats", "ObservationClient", "PolicyDocument", "PolicyFollower"]
