"""Which jobs may run beside each other: the queue lets one run of each lane through at a time.

Learning may take minutes after a large import, a training of the agents or a search as long as it is given; none waits
for another, and an activation waits for none of them.
"""

from cogorch_dagster.platform.dagster_instance import LANE_TAG

PRIORITY_TAG = "dagster/priority"

LEARNING = {LANE_TAG: "learning"}
GATE = {LANE_TAG: "gate", PRIORITY_TAG: "10"}
WATCHING = {LANE_TAG: "watching", PRIORITY_TAG: "5"}
UPKEEP = {LANE_TAG: "upkeep", PRIORITY_TAG: "-10"}
CAUSES = {LANE_TAG: "causes", PRIORITY_TAG: "-5"}
TRAINING = {LANE_TAG: "training", PRIORITY_TAG: "-5"}
TUNING = {LANE_TAG: "tuning", PRIORITY_TAG: "-8"}
