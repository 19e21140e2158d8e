"""The registry of what was trained: versions with parameters, metrics and lineage, in MLflow on our PostgreSQL.

Artifacts lie in the lake, in formats that execute nothing when they are loaded. What a version is worth, and which
one is to be used, is decided above.
"""
