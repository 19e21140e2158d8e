"""The simulated fleet: thousands of serving fleets as arrays, calibrated from observations, for agents to train in.

What the agents learn belongs in `agents/`, how they settle their conflicts in `games/`.
"""
