"""Everything versioned and approved: documents, their life cycle, decisions, activation and the audit chain.

A new kind of document needs a pydantic model in `kinds.KINDS` and nothing else here. This package knows nothing of
observations, the lake or rewards: evidence is a JSON document that it stores, digests and shows.
"""
