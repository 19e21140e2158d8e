"""What the assets, jobs and sensors share: the settings of the installation, and where Dagster keeps its own records.

No business of the engine belongs here, and nothing that talks to the fleet.
"""
