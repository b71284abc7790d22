"""Ingest: the worker that turns jobs into rows."""

from typing import Final

WORKS: Final = "works on the jobs of"
"""What a worker's log says when it is ready."""
