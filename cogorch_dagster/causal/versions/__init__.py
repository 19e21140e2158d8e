"""Versions of the causal graph: found once, never changed; kept, drawn, and held against the one before."""
