"""Checkpoints of the agents: which there are, of what, and where their files lie."""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE agent_checkpoints (
    digest text PRIMARY KEY,
    agent text NOT NULL,
    algorithm text NOT NULL,
    created_at timestamptz NOT NULL,
    calibration text NOT NULL,
    steps bigint NOT NULL,
    path text NOT NULL,
    bytes bigint NOT NULL,
    metrics jsonb NOT NULL,
    configuration jsonb NOT NULL,
    run_id text
);
CREATE INDEX agent_checkpoints_newest ON agent_checkpoints (agent, created_at);

CREATE FUNCTION refuse_checkpoint_edit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'checkpoint % is immutable; save another one', OLD.digest USING ERRCODE = 'restrict_violation';
END $$;

CREATE TRIGGER agent_checkpoints_immutable BEFORE UPDATE ON agent_checkpoints
    FOR EACH ROW EXECUTE FUNCTION refuse_checkpoint_edit();
"""


def upgrade() -> None:
    op.execute(TABLES)


def downgrade() -> None:
    op.execute("DROP TABLE agent_checkpoints")
    op.execute("DROP FUNCTION refuse_checkpoint_edit")
