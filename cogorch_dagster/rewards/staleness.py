"""What an hour's rewards and rollup were computed from, written down as the catalogue's `input_digest`.

An hour is stale when that differs from what there is now. New rows, late rows, late feedback and a changed reward
configuration all show in the same way, so nothing has to announce them.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from cogorch_dagster.lake.catalogue import HourEntry
from cogorch_dagster.rewards.configuration import RewardConfigs
from cogorch_dagster.rewards.rollups import FORMAT
from cogorch_dagster.rewards.scoring import FORMULA

# Beyond so many components the hour records all configurations, and any change of one makes it stale.
MOST_COMPONENTS = 1000


@dataclass(frozen=True)
class Hour:
    """What the catalogue holds of one hour that has observations."""

    observations: HourEntry
    feedback: HourEntry | None
    rewards: HourEntry | None
    rollups: HourEntry | None

    @property
    def hour(self) -> datetime:
        return self.observations.hour


def rewards_inputs(hour: Hour, components: Iterable[tuple[str, str]], configs: RewardConfigs) -> str:
    """The `input_digest` of an hour's rewards.

    Args:
        components: every (component, component_kind) that the hour's observations have.
    """
    known = sorted(components)
    recorded: dict[str, object] = {"rows": _rows_digest(hour)}
    if len(known) > MOST_COMPONENTS:
        recorded["all"] = configs.digest
    else:
        scored_by: dict[str, dict[str, str]] = {}
        for component, kind in known:
            scored_by.setdefault(kind, {})[component] = _short(configs.resolve(component, kind).digest)
        recorded["by"] = scored_by
    return json.dumps(recorded, sort_keys=True, separators=(",", ":"))


def rewards_are_current(hour: Hour, configs: RewardConfigs) -> bool:
    """Whether the hour's rewards were computed from its present rows by the present configurations."""
    if hour.rewards is None or hour.rewards.input_digest is None:
        return False
    recorded = json.loads(hour.rewards.input_digest)
    if recorded["rows"] != _rows_digest(hour):
        return False
    if "all" in recorded:
        return bool(recorded["all"] == configs.digest)
    return all(
        digest == _short(configs.resolve(component, kind).digest)
        for kind, components in recorded["by"].items()
        for component, digest in components.items()
    )


def rollup_inputs(hour: Hour) -> str:
    """The `input_digest` of an hour's rollup."""
    return _sha(FORMAT, hour.observations.digest, hour.rewards.digest if hour.rewards else "")


def rollup_is_current(hour: Hour) -> bool:
    """Whether the hour's rollup was computed from its present rewards."""
    return hour.rollups is not None and hour.rollups.input_digest == rollup_inputs(hour)


def _rows_digest(hour: Hour) -> str:
    return _sha(FORMULA, hour.observations.digest, hour.feedback.digest if hour.feedback else "")


def _sha(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _short(digest: str) -> str:
    """12 hexadecimal digits are enough to tell the versions of one document apart."""
    return digest.removeprefix("sha256:")[:12]
