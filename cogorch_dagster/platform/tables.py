"""Every table of the control plane, as SQLAlchemy Core sees them.

The migrations create them; a test holds the two against each other.
"""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

metadata = sa.MetaData()

_timestamp = sa.DateTime(timezone=True)
_now = sa.text("now()")

policies = sa.Table(
    "policies",
    metadata,
    sa.Column("policy_id", sa.Text, primary_key=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("component", sa.Text),
    sa.Column("mode", sa.Text, nullable=False, server_default=sa.text("'manual'")),
    sa.Column("threshold", sa.Float(53), nullable=False, server_default=sa.text("0.03")),
    sa.Column("created_at", _timestamp, nullable=False, server_default=_now),
    sa.Column("strictness", sa.Text, nullable=False, server_default=sa.text("'standard'")),
    sa.CheckConstraint("mode IN ('manual', 'autonomous_threshold', 'autonomous_all')", name="policies_mode"),
    sa.CheckConstraint("strictness IN ('strict', 'standard', 'wide')", name="policies_strictness"),
)

policy_versions = sa.Table(
    "policy_versions",
    metadata,
    sa.Column("policy_id", sa.Text, sa.ForeignKey("policies.policy_id"), primary_key=True),
    sa.Column("version", sa.Text, primary_key=True),
    sa.Column("params", JSONB, nullable=False),
    sa.Column("digest", sa.Text, nullable=False),
    sa.Column("parent", sa.Text),
    sa.Column("evidence", JSONB),
    sa.Column("status", sa.Text, nullable=False, server_default=sa.text("'draft'")),
    sa.Column("created_at", _timestamp, nullable=False, server_default=_now),
    sa.Column("created_by", sa.Text, nullable=False),
    sa.Column("activated_at", _timestamp),
    sa.Column("ended_at", _timestamp),
    sa.CheckConstraint(
        "status IN ('draft', 'approved', 'canary', 'active', 'archived', 'rejected', 'expired', 'rolled_back')",
        name="policy_versions_status",
    ),
    sa.Index("policy_versions_one_active", "policy_id", unique=True, postgresql_where=sa.text("status = 'active'")),
    sa.Index("policy_versions_one_canary", "policy_id", unique=True, postgresql_where=sa.text("status = 'canary'")),
)

decisions = sa.Table(
    "decisions",
    metadata,
    sa.Column("decision_id", sa.Uuid, primary_key=True),
    sa.Column("policy_id", sa.Text, nullable=False),
    sa.Column("version", sa.Text, nullable=False),
    sa.Column("digest", sa.Text, nullable=False),
    sa.Column("action", sa.Text, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("decided_at", _timestamp, nullable=False, server_default=_now),
    sa.Column("claimed_at", _timestamp),
    sa.Column("claimed_by", sa.Text),
    sa.Column("superseded_at", _timestamp),
    sa.ForeignKeyConstraint(
        ["policy_id", "version"],
        ["policy_versions.policy_id", "policy_versions.version"],
        name="decisions_of_version",
    ),
    sa.CheckConstraint("action IN ('approve', 'reject', 'rollback', 'abort')", name="decisions_action"),
    # At most one decision of a policy waits: whatever is activated next is never a matter of which job runs first.
    sa.Index(
        "decisions_one_waiting",
        "policy_id",
        unique=True,
        postgresql_where=sa.text("claimed_at IS NULL AND superseded_at IS NULL AND action <> 'reject'"),
    ),
    sa.Index("decisions_version", "policy_id", "version", "decided_at"),
)

# One row for each ramp: which version takes over traffic from which, how far it is, and how it ended.
# A trigger looks for its decision; a foreign key would have TRUNCATE fail with another error than the one of its guard.
canary_ramps = sa.Table(
    "canary_ramps",
    metadata,
    sa.Column("decision_id", sa.Uuid, primary_key=True),
    sa.Column("policy_id", sa.Text, nullable=False),
    sa.Column("version", sa.Text, nullable=False),
    sa.Column("control", sa.Text, nullable=False),
    sa.Column("plan_ref", sa.Text, nullable=False),
    sa.Column("plan", JSONB, nullable=False),
    sa.Column("step", sa.Integer, nullable=False),
    sa.Column("share", sa.Float(53), nullable=False),
    sa.Column("started_at", _timestamp, nullable=False),
    sa.Column("step_started_at", _timestamp, nullable=False),
    sa.Column("changed_at", _timestamp, nullable=False),
    sa.Column("judged_at", _timestamp),
    sa.Column("verdict", JSONB),
    sa.Column("ended_at", _timestamp),
    sa.Column("outcome", sa.Text),
    sa.Column("reason", sa.Text),
    sa.ForeignKeyConstraint(
        ["policy_id", "version"],
        ["policy_versions.policy_id", "policy_versions.version"],
        name="canary_ramps_of_version",
    ),
    sa.CheckConstraint("share > 0 AND share < 1", name="canary_ramps_share"),
    sa.CheckConstraint(
        "(ended_at IS NULL AND outcome IS NULL) OR (ended_at IS NOT NULL AND outcome IN ('activated', 'rolled_back'))",
        name="canary_ramps_outcome",
    ),
    sa.Index("canary_ramps_one_open", "policy_id", unique=True, postgresql_where=sa.text("ended_at IS NULL")),
    sa.Index("canary_ramps_policy", "policy_id", "started_at"),
)

audit_log = sa.Table(
    "audit_log",
    metadata,
    sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("at", _timestamp, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("event", sa.Text, nullable=False),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("payload", JSONB, nullable=False),
    sa.Column("previous_hash", sa.Text, nullable=False),
    sa.Column("hash", sa.Text, nullable=False),
    sa.Index("audit_log_subject", "subject", "seq"),
)

audit_head = sa.Table(
    "audit_head",
    metadata,
    sa.Column("singleton", sa.Boolean, primary_key=True, server_default=sa.text("true")),
    sa.Column("seq", sa.BigInteger, nullable=False),
    sa.Column("hash", sa.Text, nullable=False),
    sa.CheckConstraint("singleton", name="audit_head_single_row"),
)

flags = sa.Table(
    "flags",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("value", JSONB, nullable=False),
    sa.Column("updated_at", _timestamp, nullable=False, server_default=_now),
    sa.Column("updated_by", sa.Text, nullable=False),
)

tokens = sa.Table(
    "tokens",
    metadata,
    sa.Column("token_id", sa.Uuid, primary_key=True),
    sa.Column("name", sa.Text, nullable=False, unique=True),
    sa.Column("secret_hash", sa.Text, nullable=False, unique=True),
    sa.Column("scopes", ARRAY(sa.Text), nullable=False),
    sa.Column("created_at", _timestamp, nullable=False, server_default=_now),
    sa.Column("revoked_at", _timestamp),
)

inbox_observations = sa.Table(
    "inbox_observations",
    metadata,
    sa.Column("seq", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("source_id", sa.Text, nullable=False),
    sa.Column("occurred_at", _timestamp, nullable=False),
    sa.Column("received_at", _timestamp, nullable=False, server_default=_now),
    sa.Column("payload", JSONB, nullable=False),
    sa.UniqueConstraint("source", "source_id", name="inbox_observations_identity"),
    sa.Index("inbox_observations_occurred_at", "occurred_at"),
)

inbox_feedback = sa.Table(
    "inbox_feedback",
    metadata,
    sa.Column("seq", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("observation_id", sa.Uuid, nullable=False),
    sa.Column("metric", sa.Text, nullable=False),
    sa.Column("value", sa.Float(53), nullable=False),
    sa.Column("occurred_at", _timestamp, nullable=False),
    sa.Column("received_at", _timestamp, nullable=False, server_default=_now),
    sa.UniqueConstraint("observation_id", "metric", "occurred_at", name="inbox_feedback_identity"),
)

lake_hours = sa.Table(
    "lake_hours",
    metadata,
    sa.Column("dataset", sa.Text, primary_key=True),
    sa.Column("hour", _timestamp, primary_key=True),
    sa.Column("files", JSONB, nullable=False),
    sa.Column("rows", sa.BigInteger, nullable=False),
    sa.Column("input_digest", sa.Text),
    sa.Column("committed_at", _timestamp, nullable=False, server_default=_now),
)

drift_findings = sa.Table(
    "drift_findings",
    metadata,
    sa.Column("finding_id", sa.Uuid, primary_key=True),
    sa.Column("sort", sa.Text, nullable=False),
    sa.Column("component", sa.Text, nullable=False),
    sa.Column("metric", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("began_at", _timestamp, nullable=False),
    sa.Column("known_at", _timestamp, nullable=False),
    sa.Column("found_at", _timestamp, nullable=False, server_default=_now),
    sa.Column("ended_at", _timestamp),
    sa.Column("closed_by", sa.Text),
    sa.Column("close_reason", sa.Text),
    sa.Column("before", sa.Float(53)),
    sa.Column("after", sa.Float(53)),
    sa.Column("size", sa.Float(53), nullable=False),
    sa.Column("details", JSONB, nullable=False),
    sa.CheckConstraint("sort IN ('incident', 'regime')", name="drift_findings_sort"),
    sa.CheckConstraint("(ended_at IS NULL) = (closed_by IS NULL)", name="drift_findings_closed"),
    sa.Index("drift_findings_open", "component", postgresql_where=sa.text("ended_at IS NULL")),
    sa.Index("drift_findings_component", "component", "began_at"),
)

fleet_calibrations = sa.Table(
    "fleet_calibrations",
    metadata,
    sa.Column("digest", sa.Text, primary_key=True),
    sa.Column("created_at", _timestamp, nullable=False, server_default=_now),
    sa.Column("since", _timestamp, nullable=False),
    sa.Column("until", _timestamp, nullable=False),
    sa.Column("rows", sa.BigInteger, nullable=False),
    sa.Column("inputs", sa.Text, nullable=False),
    sa.Column("parameters", JSONB, nullable=False),
    sa.Column("fits", JSONB, nullable=False),
    sa.Column("warnings", JSONB, nullable=False),
    sa.CheckConstraint("since < until", name="fleet_calibrations_period"),
    sa.Index("fleet_calibrations_created_at", "created_at"),
)

# Rows go with their files when a clean-up forgets them; until then a trigger keeps them as they are.
agent_checkpoints = sa.Table(
    "agent_checkpoints",
    metadata,
    sa.Column("digest", sa.Text, primary_key=True),
    sa.Column("agent", sa.Text, nullable=False),
    sa.Column("algorithm", sa.Text, nullable=False),
    sa.Column("created_at", _timestamp, nullable=False),
    sa.Column("calibration", sa.Text, nullable=False),
    sa.Column("steps", sa.BigInteger, nullable=False),
    sa.Column("path", sa.Text, nullable=False),
    sa.Column("bytes", sa.BigInteger, nullable=False),
    sa.Column("metrics", JSONB, nullable=False),
    sa.Column("configuration", JSONB, nullable=False),
    sa.Column("run_id", sa.Text),
    sa.Index("agent_checkpoints_newest", "agent", "created_at"),
)

coordinations = sa.Table(
    "coordinations",
    metadata,
    sa.Column("digest", sa.Text, primary_key=True),
    sa.Column("created_at", _timestamp, nullable=False, server_default=_now),
    sa.Column("run_id", sa.Text),
    sa.Column("result", JSONB, nullable=False),
    sa.Index("coordinations_created_at", "created_at"),
)

# The rows of a data set are a file of the lake; they outlive the raw observations that they were made from.
causal_datasets = sa.Table(
    "causal_datasets",
    metadata,
    sa.Column("digest", sa.Text, primary_key=True),
    sa.Column("scope", sa.Text, nullable=False),
    sa.Column("created_at", _timestamp, nullable=False, server_default=_now),
    sa.Column("since", _timestamp),
    sa.Column("until", _timestamp),
    sa.Column("rows", sa.BigInteger, nullable=False),
    sa.Column("inputs", sa.Text, nullable=False),
    sa.Column("path", sa.Text, nullable=False),
    sa.Column("bytes", sa.BigInteger, nullable=False),
    sa.Column("document", JSONB, nullable=False),
    sa.Index("causal_datasets_scope", "scope", "created_at"),
)

causal_versions = sa.Table(
    "causal_versions",
    metadata,
    sa.Column("digest", sa.Text, primary_key=True),
    sa.Column("scope", sa.Text, nullable=False),
    sa.Column("created_at", _timestamp, nullable=False, server_default=_now),
    sa.Column("dataset", sa.Text, sa.ForeignKey("causal_datasets.digest"), nullable=False),
    sa.Column("document", JSONB, nullable=False),
    sa.Column("model", sa.LargeBinary, nullable=False),
    sa.Column("run_id", sa.Text),
    sa.Index("causal_versions_scope", "scope", "created_at"),
    sa.Index("causal_versions_dataset", "dataset"),
)

causal_heads = sa.Table(
    "causal_heads",
    metadata,
    sa.Column("scope", sa.Text, primary_key=True),
    sa.Column("version", sa.Text, sa.ForeignKey("causal_versions.digest", ondelete="CASCADE"), nullable=False),
    sa.Column("found_at", _timestamp, nullable=False),
)

causal_effects = sa.Table(
    "causal_effects",
    metadata,
    sa.Column("version", sa.Text, sa.ForeignKey("causal_versions.digest", ondelete="CASCADE"), primary_key=True),
    sa.Column("treatment", sa.Text, primary_key=True),
    sa.Column("outcome", sa.Text, primary_key=True),
    sa.Column("created_at", _timestamp, nullable=False, server_default=_now),
    sa.Column("document", JSONB, nullable=False),
)

causal_insights = sa.Table(
    "causal_insights",
    metadata,
    sa.Column("digest", sa.Text, primary_key=True),
    sa.Column("scope", sa.Text, nullable=False),
    sa.Column("version", sa.Text, sa.ForeignKey("causal_versions.digest", ondelete="CASCADE"), nullable=False),
    sa.Column("created_at", _timestamp, nullable=False, server_default=_now),
    sa.Column("rank", sa.Integer, nullable=False),
    sa.Column("outcome", sa.Text, nullable=False),
    sa.Column("document", JSONB, nullable=False),
    sa.Index("causal_insights_scope", "scope", "created_at"),
    sa.Index("causal_insights_version", "version", "rank"),
)

studies = sa.Table(
    "studies",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("agent", sa.Text, nullable=False),
    sa.Column("sort", sa.Text, nullable=False),
    sa.Column("created_at", _timestamp, nullable=False, server_default=_now),
    sa.Column("document", JSONB, nullable=False),
    sa.Column("run_id", sa.Text),
    sa.Column("ended_at", _timestamp),
    sa.Column("result", JSONB(none_as_null=True)),
    sa.CheckConstraint("sort IN ('hyperparameters', 'architecture')", name="studies_sort"),
    sa.CheckConstraint("(ended_at IS NULL) = (result IS NULL)", name="studies_ended"),
    sa.Index("studies_agent", "agent", "created_at"),
)

# What happened in a study, entry by entry; its trials are what follows from reading them in order.
study_journal = sa.Table(
    "study_journal",
    metadata,
    sa.Column("study", sa.Text, sa.ForeignKey("studies.name", ondelete="CASCADE"), primary_key=True),
    sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("entry", JSONB, nullable=False),
)

# What the processes of the fleet made of a version: taken over, or refused with a reason.
acknowledgements = sa.Table(
    "acknowledgements",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("policy_id", sa.Text, sa.ForeignKey("policies.policy_id"), nullable=False),
    sa.Column("version", sa.Text, nullable=False),
    sa.Column("process", sa.Text, nullable=False),
    sa.Column("accepted", sa.Boolean, nullable=False),
    sa.Column("reason", sa.Text),
    sa.Column("steps", sa.BigInteger, nullable=False),
    sa.Column("acknowledged_at", _timestamp, nullable=False, server_default=sa.text("clock_timestamp()")),
    sa.CheckConstraint("accepted OR reason IS NOT NULL", name="acknowledgements_reason"),
    sa.ForeignKeyConstraint(["policy_id", "version"], ["policy_versions.policy_id", "policy_versions.version"]),
    sa.Index("acknowledgements_version", "policy_id", "version", "acknowledged_at"),
)

# What running agents earn, under the version that each had taken over when it was measured.
agent_returns = sa.Table(
    "agent_returns",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("policy_id", sa.Text, sa.ForeignKey("policies.policy_id"), nullable=False),
    sa.Column("version", sa.Text, nullable=False),
    sa.Column("process", sa.Text, nullable=False),
    sa.Column("steps", sa.BigInteger, nullable=False),
    sa.Column("measured_at", _timestamp, nullable=False, server_default=sa.text("clock_timestamp()")),
    sa.Column("value", sa.Float(53), nullable=False),
    sa.ForeignKeyConstraint(["policy_id", "version"], ["policy_versions.policy_id", "policy_versions.version"]),
    sa.Index("agent_returns_policy", "policy_id", "measured_at"),
)

feature_sets = sa.Table(
    "feature_sets",
    metadata,
    sa.Column("digest", sa.Text, primary_key=True),
    sa.Column("scope", sa.Text, nullable=False),
    sa.Column("created_at", _timestamp, nullable=False, server_default=_now),
    sa.Column("document", JSONB, nullable=False),
    sa.Column("run_id", sa.Text),
    sa.Index("feature_sets_scope", "scope", "created_at"),
)
