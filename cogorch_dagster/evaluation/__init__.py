"""What a policy would have been worth, from decisions that another one made, and how sure that is.

Here: logged decisions, importance weights, estimators, intervals, measured values. Not here: choosing new weights
(`proposals`), the reward of one observation (`rewards`).
"""
