"""Logarithmic buckets, from which a quantile of any merged set of hours is read with a relative error below 1 %.

Bucket b holds the values in (1.02^(b-1), 1.02^b]. As in DDSketch (Masson, Rim, Lee, VLDB 2019) the value that stands
for it lies where the relative error to both ends is equal, (g-1)/(g+1) = 0.99 % for g = 1.02.
"""

import math

GROWTH = 1.02
# A duration below one microsecond is counted as one, so that 0 has a logarithm.
SMALLEST_MS = 1e-3


def bucket_sql(milliseconds: str) -> str:
    """SQL for the bucket of a duration expression, INTEGER; null for null."""
    # Not greatest(): DuckDB's ignores nulls and would make every missing duration the smallest.
    bounded = f"CASE WHEN {milliseconds} < {SMALLEST_MS} THEN {SMALLEST_MS}::DOUBLE ELSE {milliseconds} END"
    return f"CAST(ceil(ln({bounded}) / {math.log(GROWTH)!r}::DOUBLE) AS INTEGER)"


def value_of(bucket: int) -> float:
    """The duration in milliseconds that stands for a bucket."""
    return 2 * GROWTH**bucket / (1 + GROWTH)
