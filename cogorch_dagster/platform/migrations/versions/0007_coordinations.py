"""Coordinated steps of the agents: what was said, found, decided and refused."""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE coordinations (
    digest text PRIMARY KEY,
    created_at timestamptz NOT NULL DEFAULT now(),
    run_id text,
    result jsonb NOT NULL
);
CREATE INDEX coordinations_created_at ON coordinations (created_at);

CREATE FUNCTION refuse_coordination_edit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'coordination % is immutable; coordinate anew', OLD.digest USING ERRCODE = 'restrict_violation';
END $$;

CREATE TRIGGER coordinations_immutable BEFORE UPDATE ON coordinations
    FOR EACH ROW EXECUTE FUNCTION refuse_coordination_edit();
"""


def upgrade() -> None:
    op.execute(TABLES)


def downgrade() -> None:
    op.execute("DROP TABLE coordinations; DROP FUNCTION refuse_coordination_edit")
