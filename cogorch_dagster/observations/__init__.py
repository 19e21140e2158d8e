"""Observations: what they are, where they come from and how they reach the lake. No scores, no policies."""
