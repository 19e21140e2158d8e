"""Which jobs may run beside each other: the queue lets one run of each lane through at a time.

Two cores bear two runs. Learning may take minutes after a large import; an activation must not wait for it.
"""

from cogorch_dagster.platform.dagster_instance import LANE_TAG

PRIORITY_TAG = "dagster/priority"

LEARNING = {LANE_TAG: "learning"}
GATE = {LANE_TAG: "gate", PRIORITY_TAG: "10"}
WATCHING = {LANE_TAG: "watching", PRIORITY_TAG: "5"}
UPKEEP = {LANE_TAG: "upkeep", PRIORITY_TAG: "-10"}
