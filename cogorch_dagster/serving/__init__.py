"""Agents that run: a process that trains and acts on, and takes over new hyperparameters between two steps.

What the hyperparameters may be belongs in `policies/`, how an algorithm takes them over in `agents/`.
"""
