"""Canary ramps: a version takes over traffic by steps, and comes into force only at the end of its ramp."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

TABLES = """
ALTER TABLE decisions DROP CONSTRAINT decisions_action;
ALTER TABLE decisions ADD CONSTRAINT decisions_action CHECK (action IN ('approve', 'reject', 'rollback', 'abort'));

CREATE UNIQUE INDEX policy_versions_one_canary ON policy_versions (policy_id) WHERE status = 'canary';

CREATE TABLE canary_ramps (
    decision_id uuid PRIMARY KEY,
    policy_id text NOT NULL,
    version text NOT NULL,
    control text NOT NULL,
    plan_ref text NOT NULL,
    plan jsonb NOT NULL,
    step integer NOT NULL,
    share double precision NOT NULL CONSTRAINT canary_ramps_share CHECK (share > 0 AND share < 1),
    started_at timestamptz NOT NULL,
    step_started_at timestamptz NOT NULL,
    changed_at timestamptz NOT NULL,
    judged_at timestamptz,
    verdict jsonb,
    ended_at timestamptz,
    outcome text,
    reason text,
    CONSTRAINT canary_ramps_of_version FOREIGN KEY (policy_id, version)
        REFERENCES policy_versions (policy_id, version),
    CONSTRAINT canary_ramps_outcome CHECK (
        (ended_at IS NULL AND outcome IS NULL) OR (ended_at IS NOT NULL AND outcome IN ('activated', 'rolled_back')))
);
CREATE UNIQUE INDEX canary_ramps_one_open ON canary_ramps (policy_id) WHERE ended_at IS NULL;
CREATE INDEX canary_ramps_policy ON canary_ramps (policy_id, started_at);
"""

# As in 0001, now() is the start of the transaction: what must go together happens in one.
GUARDS = """
CREATE OR REPLACE FUNCTION refuse_unclaimed_activation() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.status <> 'draft' THEN
            RAISE EXCEPTION 'policy version %@% must begin as a draft, not %', NEW.policy_id, NEW.version, NEW.status
                USING ERRCODE = 'restrict_violation';
        END IF;
    ELSIF NEW.status = OLD.status OR NEW.status NOT IN ('active', 'canary') THEN
        RETURN NEW;
    ELSIF NEW.status = 'canary' AND OLD.status <> 'approved' THEN
        RAISE EXCEPTION 'policy version %@% is %; only an approved one may begin a canary',
            NEW.policy_id, NEW.version, OLD.status USING ERRCODE = 'restrict_violation';
    ELSIF NEW.status = 'active' AND OLD.status = 'canary' THEN
        -- Its decision was claimed when the ramp began; what counts now is that the ramp ends well, here.
        IF NOT EXISTS (
            SELECT FROM canary_ramps r JOIN decisions d ON d.decision_id = r.decision_id
            WHERE r.policy_id = NEW.policy_id AND r.version = NEW.version
              AND r.outcome = 'activated' AND r.changed_at >= now() AND r.ended_at = now()
              AND d.action = 'approve' AND d.digest = NEW.digest AND d.claimed_at IS NOT NULL
        ) THEN
            RAISE EXCEPTION 'policy version %@% cannot become active: its ramp is not completed here',
                NEW.policy_id, NEW.version USING ERRCODE = 'restrict_violation';
        END IF;
    ELSIF NOT EXISTS (
        SELECT FROM decisions d
        WHERE d.policy_id = NEW.policy_id AND d.version = NEW.version AND d.digest = NEW.digest
          AND (d.action = 'approve' OR (d.action = 'rollback' AND NEW.status = 'active')) AND d.claimed_at = now()
    ) THEN
        RAISE EXCEPTION 'policy version %@% cannot become %: no decision on its digest is claimed here',
            NEW.policy_id, NEW.version, NEW.status USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;

CREATE FUNCTION refuse_ramp_edit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.ended_at IS NOT NULL OR NOT EXISTS (
            SELECT FROM decisions d
            WHERE d.decision_id = NEW.decision_id AND d.policy_id = NEW.policy_id AND d.version = NEW.version
              AND d.action = 'approve' AND d.claimed_at = now()
        ) THEN
            RAISE EXCEPTION 'a ramp of %@% needs an approval that is claimed here', NEW.policy_id, NEW.version
                USING ERRCODE = 'restrict_violation';
        END IF;
        RETURN NEW;
    END IF;
    IF (NEW.decision_id, NEW.policy_id, NEW.version, NEW.control, NEW.plan_ref, NEW.plan, NEW.started_at)
           IS DISTINCT FROM
       (OLD.decision_id, OLD.policy_id, OLD.version, OLD.control, OLD.plan_ref, OLD.plan, OLD.started_at)
       OR OLD.ended_at IS NOT NULL OR NEW.step < OLD.step OR NEW.share < OLD.share THEN
        RAISE EXCEPTION 'the ramp of %@% only goes forward and ends once', OLD.policy_id, OLD.version
            USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER canary_ramps_forward BEFORE INSERT OR UPDATE ON canary_ramps
    FOR EACH ROW EXECUTE FUNCTION refuse_ramp_edit();
CREATE TRIGGER canary_ramps_keep BEFORE DELETE ON canary_ramps
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER canary_ramps_no_truncate BEFORE TRUNCATE ON canary_ramps
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
"""


def upgrade() -> None:
    op.execute(TABLES)
    op.execute(GUARDS)


def downgrade() -> None:
    raise RuntimeError("0002 is not undone: ramps are part of the record; restore a backup instead of going below it")
