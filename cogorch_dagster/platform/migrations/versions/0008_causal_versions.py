"""The causal core: data sets, versions of the graph with their models, effects, insights; only heads ever change."""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE causal_datasets (
    digest text PRIMARY KEY,
    scope text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    since timestamptz,
    until timestamptz,
    rows bigint NOT NULL,
    inputs text NOT NULL,
    path text NOT NULL,
    bytes bigint NOT NULL,
    document jsonb NOT NULL
);
CREATE INDEX causal_datasets_scope ON causal_datasets (scope, created_at);

CREATE TABLE causal_versions (
    digest text PRIMARY KEY,
    scope text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    dataset text NOT NULL REFERENCES causal_datasets (digest),
    document jsonb NOT NULL,
    model bytea NOT NULL,
    run_id text
);
CREATE INDEX causal_versions_scope ON causal_versions (scope, created_at);
CREATE INDEX causal_versions_dataset ON causal_versions (dataset);

-- Which version of a scope answers now: the one that was found last, also where it had been found before.
CREATE TABLE causal_heads (
    scope text PRIMARY KEY,
    version text NOT NULL REFERENCES causal_versions (digest) ON DELETE CASCADE,
    found_at timestamptz NOT NULL
);

CREATE TABLE causal_effects (
    version text NOT NULL REFERENCES causal_versions (digest) ON DELETE CASCADE,
    treatment text NOT NULL,
    outcome text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    document jsonb NOT NULL,
    PRIMARY KEY (version, treatment, outcome)
);

CREATE TABLE causal_insights (
    digest text PRIMARY KEY,
    scope text NOT NULL,
    version text NOT NULL REFERENCES causal_versions (digest) ON DELETE CASCADE,
    created_at timestamptz NOT NULL DEFAULT now(),
    rank integer NOT NULL,
    outcome text NOT NULL,
    document jsonb NOT NULL
);
CREATE INDEX causal_insights_scope ON causal_insights (scope, created_at);
CREATE INDEX causal_insights_version ON causal_insights (version, rank);

CREATE FUNCTION refuse_causal_edit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a row of % is immutable; find it anew', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$;

CREATE TRIGGER causal_datasets_immutable BEFORE UPDATE ON causal_datasets
    FOR EACH ROW EXECUTE FUNCTION refuse_causal_edit();
CREATE TRIGGER causal_versions_immutable BEFORE UPDATE ON causal_versions
    FOR EACH ROW EXECUTE FUNCTION refuse_causal_edit();
CREATE TRIGGER causal_effects_immutable BEFORE UPDATE ON causal_effects
    FOR EACH ROW EXECUTE FUNCTION refuse_causal_edit();
CREATE TRIGGER causal_insights_immutable BEFORE UPDATE ON causal_insights
    FOR EACH ROW EXECUTE FUNCTION refuse_causal_edit();
"""


def upgrade() -> None:
    op.execute(TABLES)


def downgrade() -> None:
    op.execute("DROP TABLE causal_insights, causal_effects, causal_heads, causal_versions, causal_datasets")
    op.execute("DROP FUNCTION refuse_causal_edit")
