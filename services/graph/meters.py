"""Meters: what a replica of a stage counts; Ray's agent shows it at the metrics port of each node.

Ray writes `ray_` before each name. docs/metrics.md says what each is.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from ray.util.metrics import Counter, Gauge, Histogram

_TAGS: Final = ("stage",)
_SECONDS: Final = [0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0]


class StageMeters:
    """Of one replica."""

    def __init__(self, stage: str) -> None:
        """Nothing is counted yet; the stage is the name of the deployment."""
        self._waiting = Gauge("reelpage_stage_waiting", "Cost of what waits", _TAGS)
        self._tokens = Counter("reelpage_stage_tokens", "Tokens made", _TAGS)
        self._asked = Counter("reelpage_stage_asked", "Shards that have ended", (*_TAGS, "result"))
        self._seconds = Histogram(
            "reelpage_stage_seconds", "From a question to its answer", _SECONDS, _TAGS
        )
        for one in (self._waiting, self._tokens, self._asked, self._seconds):
            one.set_default_tags({"stage": stage})

    def waiting(self, cost: float) -> None:
        """So much waits now."""
        self._waiting.set(cost)

    def made(self, tokens: int) -> None:
        """So many more tokens."""
        if tokens:
            self._tokens.inc(tokens)

    @contextmanager
    def asked(self) -> Iterator[None]:
        """One question while the block runs."""
        began, result = time.perf_counter(), "failed"
        try:
            yield
            result = "answered"
        finally:
            self._asked.inc(tags={"result": result})
            self._seconds.observe(time.perf_counter() - began)
