"""Ingest: the worker that turns jobs into rows."""
