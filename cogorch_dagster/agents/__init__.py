"""Reinforcement-learning agents: one algorithm to a file, their training, checkpoints, baselines and comparison.

The fleet that they steer belongs in `fleet/`, the game that settles their conflicts in `games/`.
"""
