"""What has changed by itself: regime changes and incidents of a component's reward, latency, failures and mix.

Here: streams of buckets from the lake, what is normal for them, detectors, the slices that explain what was found.
Not here: what to do about it (`policies.findings` blocks activations, the sensors ask for tuning) and whether a new
version is better than an old one (`evaluation.sequential`).
"""
