"""Structural causal models: fitted to a graph and rows, asked for interventions, counterfactuals, attributions.

Here: the model, its bank of bootstrap draws, and what is answered from them in milliseconds. Not here: whether an
effect is identified without a model, and its refutation (`effects`); where versions are stored (`versions`).
"""
