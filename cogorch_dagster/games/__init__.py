"""Games between agents: payoffs, equilibria with their proof, conflicts, and the coordinator that plays them.

What an agent learns belongs in `agents/`, what the fleet does in `fleet/`.
"""
