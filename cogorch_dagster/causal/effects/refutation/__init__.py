"""Attempts to overturn an estimate: one to a file, each with what its result means in a sentence.

Passing them is no proof; failing one is a reason not to believe. How estimates come about is `estimation/`.
"""
