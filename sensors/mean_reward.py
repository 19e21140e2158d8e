"""What the sensors that act on rewards share: whether a version's mean is too low, and whether anything was scored."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cogorch_dagster.policies.store import PolicyVersion
    from cogorch_dagster.rewards.rolling import RollingRow
    from cogorch_dagster.settings import Settings

WINDOWS = ("1h", "24h")
# Below it a mean says little, and a proposal would be refused.
FEWEST_SCORED = 50


def too_low(rows: "Iterable[RollingRow]", version: "PolicyVersion", limit: float) -> str | None:
    """Which window of the active version lies below the limit, in words; None when none does."""
    for row in rows:
        of_active = row.policy_id == version.policy_id and row.policy_version == version.version
        if not of_active or row.window not in WINDOWS or row.scored < FEWEST_SCORED or row.mean_reward is None:
            continue
        if row.mean_reward < limit:
            return f"mean reward {row.mean_reward:.3f} over {row.window} is below {limit:.3f}"
    return None


def scored_mark(settings: "Settings") -> str:
    """Changes whenever an hour is scored."""
    import sqlalchemy as sa

    from cogorch_dagster.platform.database import transaction
    from cogorch_dagster.platform.tables import lake_hours

    newest = sa.select(sa.func.max(lake_hours.c.committed_at)).where(lake_hours.c.dataset == "rewards")
    with transaction(settings) as connection:
        found = connection.execute(newest).scalar_one()
    return found.isoformat() if found else ""
