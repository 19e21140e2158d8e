"""Training the four agents together or apart, keeping it and going on from what was kept.

How one of them learns belongs in the file of its algorithm, how well they do in `comparison/`.
"""
