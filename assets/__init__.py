"""The asset graph: from observations to the active policy, one thin file per noun.

An asset reads its inputs, calls the engine, and reports what came of it as metadata. Rules, formulas and SQL belong
into the engine (`cogorch_dagster/`), when and why something runs into `jobs/` and `sensors/`.
"""
