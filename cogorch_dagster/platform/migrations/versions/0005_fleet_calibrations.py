"""What simulated fleets were calibrated to: parameters with their goodness of fit, kept as they were found."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE fleet_calibrations (
    digest text PRIMARY KEY,
    created_at timestamptz NOT NULL DEFAULT now(),
    since timestamptz NOT NULL,
    until timestamptz NOT NULL,
    rows bigint NOT NULL,
    inputs text NOT NULL,
    parameters jsonb NOT NULL,
    fits jsonb NOT NULL,
    warnings jsonb NOT NULL,
    CONSTRAINT fleet_calibrations_period CHECK (since < until)
);
CREATE INDEX fleet_calibrations_created_at ON fleet_calibrations (created_at);

CREATE FUNCTION refuse_calibration_edit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'fleet calibration % is immutable; calibrate anew', OLD.digest
        USING ERRCODE = 'restrict_violation';
END $$;

CREATE TRIGGER fleet_calibrations_immutable BEFORE UPDATE ON fleet_calibrations
    FOR EACH ROW EXECUTE FUNCTION refuse_calibration_edit();
"""


def upgrade() -> None:
    op.execute(TABLES)


def downgrade() -> None:
    op.execute("DROP TABLE fleet_calibrations; DROP FUNCTION refuse_calibration_edit")
