"""What drift detection has found: incidents, of which an open one blocks activations, and regime changes."""

from alembic import op

revision = "0004"
down_revision = "0002"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE drift_findings (
    finding_id uuid PRIMARY KEY,
    sort text NOT NULL CONSTRAINT drift_findings_sort CHECK (sort IN ('incident', 'regime')),
    component text NOT NULL,
    metric text NOT NULL,
    kind text NOT NULL,
    began_at timestamptz NOT NULL,
    known_at timestamptz NOT NULL,
    found_at timestamptz NOT NULL DEFAULT now(),
    ended_at timestamptz,
    closed_by text,
    close_reason text,
    before double precision,
    after double precision,
    size double precision NOT NULL,
    details jsonb NOT NULL,
    CONSTRAINT drift_findings_closed CHECK ((ended_at IS NULL) = (closed_by IS NULL))
);
CREATE INDEX drift_findings_open ON drift_findings (component) WHERE ended_at IS NULL;
CREATE INDEX drift_findings_component ON drift_findings (component, began_at);
"""


def upgrade() -> None:
    op.execute(TABLES)


def downgrade() -> None:
    op.execute("DROP TABLE drift_findings")
