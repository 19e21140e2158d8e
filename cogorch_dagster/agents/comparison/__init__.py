"""How controllers compare: statistics over seeds, scores on the same fleets, contests against baselines, pictures.

Running a controller belongs in `evaluation.py`, the baselines themselves in `baselines/`.
"""
