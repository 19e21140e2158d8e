"""Scores of observations, their mergeable hourly rollups and the rolling statistics made from them.

Everything here is derived: an hour can be computed again at any time and comes out the same.
"""
