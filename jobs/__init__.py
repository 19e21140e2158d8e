"""What is run together: selections of assets as jobs, small operations that people start, and the schedules.

What a step does belongs into the engine; when a job starts by itself because of the data belongs into `sensors/`.
"""
