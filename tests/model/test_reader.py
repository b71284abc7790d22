"""What threads ask of one model is answered together, and fails call by call."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from torch import Tensor

from pipeline.vlm.language import Batch
from pipeline.vlm.row import Row
from schemas.jobs import Task
from services.model.facts import model_facts
from services.model.reader import Model, set_threads
from training.evaluate import TINY

TASKS = [Task("a", "What is it?", 12), Task("b", "What colour is the shape?", 6)]
COUNT = 6


@pytest.fixture(scope="module")
def model() -> Model:
    set_threads(1)
    return Model(model_facts(TINY), "cpu")


@pytest.fixture(scope="module")
def pictures() -> list[np.ndarray]:
    noise = np.random.default_rng(3)
    return [noise.integers(0, 256, (112, 112, 3), np.uint8) for _ in range(COUNT)]


def read(model: Model, pictures: Sequence[np.ndarray]) -> list[list[str]]:
    """Each picture by a call of its own, all at once."""
    with ThreadPoolExecutor(COUNT) as threads:
        given = list(threads.map(lambda one: model.answer(model.encode([one]), TASKS), pictures))
    return [[answer.text for answer in answers] for (answers,) in given]


def watched(monkeypatch: pytest.MonkeyPatch, most: int) -> list[int]:
    """How many rows each step has; one with more than so many fails."""
    seen: list[int] = []
    forward = Batch._forward

    def step(self: Batch, going: Sequence[Row], joining: Sequence[Row], there: object) -> Tensor:
        seen.append(len(going) + len(joining))
        if seen[-1] > most:
            return torch.zeros(1)[2]
        return forward(self, going, joining, there)  # type: ignore[arg-type]

    monkeypatch.setattr(Batch, "_forward", step)
    return seen


def test_calls_of_threads_run_together_and_give_what_each_gives_alone(
    model: Model, pictures: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = [read(model, [one])[0] for one in pictures]
    seen = watched(monkeypatch, 2 * COUNT)
    assert read(model, pictures) == alone
    assert max(seen) > len(TASKS)


def test_what_fails_together_is_asked_again_alone(
    model: Model, pictures: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = [read(model, [one])[0] for one in pictures]
    with monkeypatch.context() as broken:
        seen = watched(broken, len(TASKS))
        assert read(model, pictures) == alone
        assert max(seen) > len(TASKS)
    with monkeypatch.context() as broken:
        watched(broken, 0)
        with pytest.raises(IndexError):
            model.read(pictures[:1], TASKS)
    assert read(model, pictures) == alone


def test_a_call_that_the_encoder_refuses_fails_alone(
    model: Model, pictures: list[np.ndarray]
) -> None:
    with ThreadPoolExecutor(2) as threads:
        bad = threads.submit(model.read, [pictures[0][:50]], TASKS)
        good = threads.submit(model.read, [pictures[0]], TASKS)
        assert good.result()[0][0].text
        with pytest.raises(Exception, match="multiples"):
            bad.result()
