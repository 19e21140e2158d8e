"""The control plane: policies and their decisions, audit, flags, tokens, inbox and the lake's catalogue."""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE policies (
    policy_id text PRIMARY KEY,
    kind text NOT NULL,
    component text,
    mode text NOT NULL DEFAULT 'manual'
        CONSTRAINT policies_mode CHECK (mode IN ('manual', 'autonomous_threshold', 'autonomous_all')),
    threshold double precision NOT NULL DEFAULT 0.03,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE policy_versions (
    policy_id text NOT NULL REFERENCES policies (policy_id),
    version text NOT NULL,
    params jsonb NOT NULL,
    digest text NOT NULL,
    parent text,
    evidence jsonb,
    status text NOT NULL DEFAULT 'draft'
        CONSTRAINT policy_versions_status CHECK (status IN
            ('draft', 'approved', 'canary', 'active', 'archived', 'rejected', 'expired', 'rolled_back')),
    created_at timestamptz NOT NULL DEFAULT now(),
    created_by text NOT NULL,
    activated_at timestamptz,
    ended_at timestamptz,
    PRIMARY KEY (policy_id, version)
);
CREATE UNIQUE INDEX policy_versions_one_active ON policy_versions (policy_id) WHERE status = 'active';

CREATE TABLE decisions (
    decision_id uuid PRIMARY KEY,
    policy_id text NOT NULL,
    version text NOT NULL,
    digest text NOT NULL,
    action text NOT NULL CONSTRAINT decisions_action CHECK (action IN ('approve', 'reject', 'rollback')),
    actor text NOT NULL,
    reason text NOT NULL,
    decided_at timestamptz NOT NULL DEFAULT now(),
    claimed_at timestamptz,
    claimed_by text,
    superseded_at timestamptz,
    CONSTRAINT decisions_of_version FOREIGN KEY (policy_id, version) REFERENCES policy_versions (policy_id, version)
);
CREATE UNIQUE INDEX decisions_one_waiting ON decisions (policy_id)
    WHERE claimed_at IS NULL AND superseded_at IS NULL AND action <> 'reject';
CREATE INDEX decisions_version ON decisions (policy_id, version, decided_at);

CREATE TABLE audit_log (
    seq bigint PRIMARY KEY,
    at timestamptz NOT NULL,
    actor text NOT NULL,
    event text NOT NULL,
    subject text NOT NULL,
    payload jsonb NOT NULL,
    previous_hash text NOT NULL,
    hash text NOT NULL
);
CREATE INDEX audit_log_subject ON audit_log (subject, seq);

CREATE TABLE audit_head (
    singleton boolean PRIMARY KEY DEFAULT true CONSTRAINT audit_head_single_row CHECK (singleton),
    seq bigint NOT NULL,
    hash text NOT NULL
);

CREATE TABLE flags (
    name text PRIMARY KEY,
    value jsonb NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now(),
    updated_by text NOT NULL
);

CREATE TABLE tokens (
    token_id uuid PRIMARY KEY,
    name text NOT NULL UNIQUE,
    secret_hash text NOT NULL UNIQUE,
    scopes text[] NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    revoked_at timestamptz
);

CREATE TABLE inbox_observations (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source text NOT NULL,
    source_id text NOT NULL,
    occurred_at timestamptz NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now(),
    payload jsonb NOT NULL,
    CONSTRAINT inbox_observations_identity UNIQUE (source, source_id)
);
CREATE INDEX inbox_observations_occurred_at ON inbox_observations (occurred_at);

CREATE TABLE inbox_feedback (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    observation_id uuid NOT NULL,
    metric text NOT NULL,
    value double precision NOT NULL,
    occurred_at timestamptz NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT inbox_feedback_identity UNIQUE (observation_id, metric, occurred_at)
);

CREATE TABLE lake_hours (
    dataset text NOT NULL,
    hour timestamptz NOT NULL,
    files jsonb NOT NULL,
    rows bigint NOT NULL,
    input_digest text,
    committed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (dataset, hour)
);
"""

# Even a mistaken hand at psql must not rewrite history; `audit verify` finds whoever disables these first.
IMMUTABILITY = """
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% of % refused: its rows are kept for ever', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'restrict_violation';
END $$;

CREATE TRIGGER audit_log_append_only BEFORE UPDATE OR DELETE ON audit_log
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER audit_log_no_truncate BEFORE TRUNCATE ON audit_log
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

CREATE FUNCTION refuse_version_edit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (NEW.policy_id, NEW.version, NEW.params, NEW.digest, NEW.created_at, NEW.created_by)
           IS DISTINCT FROM (OLD.policy_id, OLD.version, OLD.params, OLD.digest, OLD.created_at, OLD.created_by)
       OR NEW.parent IS DISTINCT FROM OLD.parent
       OR NEW.evidence IS DISTINCT FROM OLD.evidence THEN
        RAISE EXCEPTION 'policy version %@% is immutable; propose a new version', OLD.policy_id, OLD.version
            USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER policy_versions_immutable BEFORE UPDATE ON policy_versions
    FOR EACH ROW EXECUTE FUNCTION refuse_version_edit();
CREATE TRIGGER policy_versions_keep BEFORE DELETE ON policy_versions
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER policy_versions_no_truncate BEFORE TRUNCATE ON policy_versions
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- now() is the start of the transaction: only the transaction that claims a decision can activate its version.
CREATE FUNCTION refuse_unclaimed_activation() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.status <> 'draft' THEN
            RAISE EXCEPTION 'policy version %@% must begin as a draft, not %', NEW.policy_id, NEW.version, NEW.status
                USING ERRCODE = 'restrict_violation';
        END IF;
    ELSIF NEW.status = 'active' AND OLD.status <> 'active' AND NOT EXISTS (
        SELECT FROM decisions d
        WHERE d.policy_id = NEW.policy_id AND d.version = NEW.version AND d.digest = NEW.digest
          AND d.action IN ('approve', 'rollback') AND d.claimed_at = now()
    ) THEN
        RAISE EXCEPTION 'policy version %@% cannot become active: no decision on its digest is claimed here',
            NEW.policy_id, NEW.version USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER policy_versions_claimed BEFORE INSERT OR UPDATE ON policy_versions
    FOR EACH ROW EXECUTE FUNCTION refuse_unclaimed_activation();

CREATE FUNCTION refuse_decision_edit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (NEW.decision_id, NEW.policy_id, NEW.version, NEW.digest, NEW.action, NEW.actor, NEW.reason, NEW.decided_at)
           IS DISTINCT FROM
       (OLD.decision_id, OLD.policy_id, OLD.version, OLD.digest, OLD.action, OLD.actor, OLD.reason, OLD.decided_at)
       OR OLD.claimed_at IS NOT NULL OR OLD.superseded_at IS NOT NULL THEN
        RAISE EXCEPTION 'decision % is immutable and is used at most once', OLD.decision_id
            USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER decisions_immutable BEFORE UPDATE ON decisions
    FOR EACH ROW EXECUTE FUNCTION refuse_decision_edit();
CREATE TRIGGER decisions_keep BEFORE DELETE ON decisions
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER decisions_no_truncate BEFORE TRUNCATE ON decisions
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
"""


def upgrade() -> None:
    op.execute(TABLES)
    op.execute(IMMUTABILITY)


def downgrade() -> None:
    raise RuntimeError("0001 is the first migration; restore a backup instead of going below it")
