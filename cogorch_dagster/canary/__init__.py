"""Judging a running ramp and moving it: on to its next share, into force, or back.

Here: which comparison a ramp asks for, what follows from its answer, and the loop that asks again every few seconds.
Not here: the ramp's rows and moves (`policies.ramps`, `policies.canary`), the statistics (`evaluation.sequential`).
"""
