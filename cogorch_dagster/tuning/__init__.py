"""The search for better hyperparameters and architectures of the agents, with real training, and its confirmation.

How an agent learns belongs in `agents/`, what a version may be and its life in `policies/`.
"""
