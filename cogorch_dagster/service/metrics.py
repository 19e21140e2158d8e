"""What the service counts, in the form that Prometheus scrapes."""

import sqlalchemy as sa
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

from cogorch_dagster.observations import inbox
from cogorch_dagster.platform.tables import policy_versions
from cogorch_dagster.policies import ramps

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_ROWS = (1, 10, 50, 100, 200, 500, 1000, 2000, 5000)


class Metrics:
    """The metrics of one application; each has its own registry, so that two may live in one process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.rows = Counter(
            "cogorch_ingest_rows",
            "Rows received, by what became of them: accepted, duplicate, rejected.",
            ["stream", "outcome"],
            registry=self.registry,
        )
        self.requests = Counter(
            "cogorch_ingest_requests", "Ingest requests by HTTP status.", ["stream", "status"], registry=self.registry
        )
        self.seconds = Histogram(
            "cogorch_ingest_seconds",
            "Time from the complete body to the commit, seconds.",
            ["stream"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.batch_rows = Histogram(
            "cogorch_ingest_batch_rows", "Rows per ingest request.", ["stream"], buckets=_ROWS, registry=self.registry
        )
        self.subscribers = Gauge(
            "cogorch_event_subscribers", "Open event streams by policy.", ["policy_id"], registry=self.registry
        )
        self.events = Counter("cogorch_events_sent", "Policy events put to streams.", registry=self.registry)
        self.dropped_subscribers = Counter(
            "cogorch_event_subscribers_dropped", "Streams ended because the client was slow.", registry=self.registry
        )
        self.listening = Gauge(
            "cogorch_listening", "1 while the connection that hears of activations is up.", registry=self.registry
        )
        self._depth = Gauge(
            "cogorch_inbox_depth", "Rows acknowledged and not yet moved to the lake.", registry=self.registry
        )
        self._active = Gauge(
            "cogorch_policy_active_info", "1 for the active version.", ["policy_id", "version"], registry=self.registry
        )
        self._canary = Gauge(
            "cogorch_policy_canary_share",
            "Share of the traffic of the version that ramps.",
            ["policy_id", "version"],
            registry=self.registry,
        )
        self._database_up = Gauge("cogorch_database_up", "1 while PostgreSQL answers.", registry=self.registry)

    def read_database(self, connection: sa.Connection) -> None:
        """Take in what only the database knows."""
        self._depth.set(inbox.depth(connection))
        self._active.clear()
        active = sa.select(policy_versions.c.policy_id, policy_versions.c.version).where(
            policy_versions.c.status == "active"
        )
        for row in connection.execute(active):
            self._active.labels(row.policy_id, row.version).set(1)
        self._canary.clear()
        for ramp in ramps.all_running(connection):
            self._canary.labels(ramp.policy_id, ramp.version).set(ramp.share)
        self._database_up.set(1)

    def database_away(self) -> None:
        """The database does not answer: what it alone knows is unknown."""
        self._database_up.set(0)
        self._depth.set(float("nan"))
        self._active.clear()
        self._canary.clear()

    def exposition(self) -> bytes:
        return generate_latest(self.registry)
