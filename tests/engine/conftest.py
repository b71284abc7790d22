"""Engines of the shipped checkpoint, and what our own decoder says of the same features."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from pipeline.generate import Engine, Generation
from tests.vlm.models import Model, model
from training.evaluate import TINY


def same(given: Generation, right: Generation) -> None:
    """All is equal but the time, and the last digits of the log probability."""
    near = pytest.approx(right.logprob, abs=1e-3)
    assert replace(given, latency_us=0) == replace(right, latency_us=0, logprob=near)


@pytest.fixture(scope="session")
def tiny() -> Model:
    return model(TINY)


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    made = Engine(TINY, threads=1)
    yield made
    made.close()
