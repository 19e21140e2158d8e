"""The HTTP face of the engine: ingest, the active policies with their events, decisions, health and metrics.

One FastAPI application over functions of the other packages; nothing is decided here but who may call and in what form.
"""
