"""Data sets from the lake: one component over a period, buckets of time as rows."""
