"""Tuning: how far versions may depart, studies with their journals, acknowledgements, returns, sets of features."""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

TABLES = """
ALTER TABLE policies ADD COLUMN strictness text NOT NULL DEFAULT 'standard'
    CONSTRAINT policies_strictness CHECK (strictness IN ('strict', 'standard', 'wide'));

CREATE TABLE studies (
    name text PRIMARY KEY,
    agent text NOT NULL,
    sort text NOT NULL CONSTRAINT studies_sort CHECK (sort IN ('hyperparameters', 'architecture')),
    created_at timestamptz NOT NULL DEFAULT now(),
    document jsonb NOT NULL,
    run_id text,
    ended_at timestamptz,
    result jsonb,
    CONSTRAINT studies_ended CHECK ((ended_at IS NULL) = (result IS NULL))
);
CREATE INDEX studies_agent ON studies (agent, created_at);

-- What happened in a study, entry by entry; its trials are what follows from reading them in order.
CREATE TABLE study_journal (
    study text NOT NULL REFERENCES studies (name) ON DELETE CASCADE,
    number bigint NOT NULL,
    entry jsonb NOT NULL,
    PRIMARY KEY (study, number)
);

-- What the processes of the fleet made of a version: taken over, or refused with a reason.
CREATE TABLE acknowledgements (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    policy_id text NOT NULL REFERENCES policies (policy_id),
    version text NOT NULL,
    process text NOT NULL,
    accepted boolean NOT NULL,
    reason text,
    steps bigint NOT NULL,
    acknowledged_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT acknowledgements_reason CHECK (accepted OR reason IS NOT NULL),
    FOREIGN KEY (policy_id, version) REFERENCES policy_versions (policy_id, version)
);
CREATE INDEX acknowledgements_version ON acknowledgements (policy_id, version, acknowledged_at);

-- What running agents earn, under the version that each had taken over when it was measured.
CREATE TABLE agent_returns (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    policy_id text NOT NULL REFERENCES policies (policy_id),
    version text NOT NULL,
    process text NOT NULL,
    steps bigint NOT NULL,
    measured_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    value double precision NOT NULL,
    FOREIGN KEY (policy_id, version) REFERENCES policy_versions (policy_id, version)
);
CREATE INDEX agent_returns_policy ON agent_returns (policy_id, measured_at);

CREATE TABLE feature_sets (
    digest text PRIMARY KEY,
    scope text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    document jsonb NOT NULL,
    run_id text
);
CREATE INDEX feature_sets_scope ON feature_sets (scope, created_at);

CREATE FUNCTION refuse_feature_edit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a row of % is immutable; define it anew', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$;

CREATE TRIGGER feature_sets_immutable BEFORE UPDATE ON feature_sets
    FOR EACH ROW EXECUTE FUNCTION refuse_feature_edit();
"""


def upgrade() -> None:
    op.execute(TABLES)


def downgrade() -> None:
    op.execute("DROP TABLE feature_sets, agent_returns, acknowledgements, study_journal, studies")
    op.execute("DROP FUNCTION refuse_feature_edit")
    op.execute("ALTER TABLE policies DROP COLUMN strictness")
