"""The lake: immutable Parquet files by hour, and the catalogue in PostgreSQL that says which of them count.

Write files first, then name them in one transaction of the catalogue: a crash in between leaves files that nothing
refers to, which `files.delete_unreferenced` removes later. What the rows mean belongs to the packages above.
"""
