"""Better versions of policies: choosing parameters, holding them to the evidence, storing them as drafts.

Here: the search, the reasons to refuse, the evidence document. Not here: the estimators (`evaluation`), approval and
activation (`policies`).
"""
