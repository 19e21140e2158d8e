"""Features of decisions, synthesised from what was known before each: definitions, cut-offs, selection, versions.

What a feature is used for (the reward model, drift) belongs in `evaluation/`; storing sets of them here.
"""
