"""Asynchronous successive halving: trials are paused at rungs, as checkpoints, and the best of them trained on.

The ladder and who climbs it are `rungs.py`, what may climb `resumable.py`, the shared record `ledger.py`. Searches
that train every trial to its end belong in the package above.
"""
