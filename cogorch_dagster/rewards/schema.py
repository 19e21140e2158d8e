"""The columns of the two derived datasets, `rewards` and `rollups`, as Arrow schemas."""

import pyarrow as pa

_UTC = pa.timestamp("us", tz="UTC")

# One row for each scored observation: the score, what it is made of, and what it was made from.
REWARD_SCHEMA: pa.Schema = pa.schema(
    [
        pa.field("observation_id", pa.string()),
        pa.field("occurred_at", _UTC),
        pa.field("component", pa.string()),
        pa.field("component_kind", pa.string()),
        pa.field("policy_id", pa.string()),
        pa.field("policy_version", pa.string()),
        pa.field("score", pa.float64()),
        pa.field("base", pa.float64()),
        pa.field("success_part", pa.float64()),
        pa.field("quality_part", pa.float64()),
        pa.field("latency_part", pa.float64()),
        pa.field("cost_part", pa.float64()),
        pa.field("error_part", pa.float64()),
        pa.field("quality", pa.float64()),
        pa.field("reward_policy_id", pa.string()),
        pa.field("reward_version", pa.string()),
        pa.field("sample_weight", pa.float64()),
        pa.field("outcome", pa.string()),
        pa.field("duration_ms", pa.float64()),
        pa.field("cost_usd", pa.float64()),
    ]
)

# What is averaged over the scored observations of a group that have it.
MEASURES = ("reward", "success", "cost", "duration")
# Of a measure y under weights w: rows, Σw, Σwy, Σw², Σw²y, Σw²y². They add up over hours and groups.
SUMS = ("n", "sw", "swy", "sw2", "sw2y", "sw2y2")
OUTCOMES = ("success", "failure", "timeout", "cancelled", "pending")
KEYS = ("component", "component_kind", "policy_id", "policy_version")

# One row for each hour, component and policy version.
ROLLUP_SCHEMA: pa.Schema = pa.schema(
    [
        pa.field("hour", _UTC),
        *(pa.field(name, pa.string()) for name in KEYS),
        pa.field("n", pa.int64()),
        *(pa.field(f"n_{outcome}", pa.int64()) for outcome in OUTCOMES),
        *(
            pa.field(f"{measure}_{name}", pa.int64() if name == "n" else pa.float64())
            for measure in MEASURES
            for name in SUMS
        ),
        # Weight of the durations in each logarithmic bucket, see `rewards.buckets`; null when there is no duration.
        pa.field("latency", pa.map_(pa.int32(), pa.float64())),
    ]
)
