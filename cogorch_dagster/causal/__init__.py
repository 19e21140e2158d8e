"""The causal core: what causes what in a fleet, by how much, what would have been, and how sure that is.

From the ground up: `graphs`, `data`, `discovery`, `effects`, `models`, `versions`, `insights`; arrows point down only.
"""
