"""A small real fleet on this machine: model servers, a router that follows a policy, and an open-loop load.

Nothing here pretends: latency comes from computation and queueing, cost from metered compute time, quality from
right and wrong answers on held-out images, and every fault is one that somebody switched on.
"""
