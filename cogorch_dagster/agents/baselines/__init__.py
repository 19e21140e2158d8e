"""What agents have to beat: a fleet left alone, an autoscaler, and the tabular learner of a first design.

All are controllers as `agents.controllers` describes them.
"""
