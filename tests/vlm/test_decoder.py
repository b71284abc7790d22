"""Prompts that come, go and wait in any order are answered as one `generate` a prompt does."""

import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import pipeline.vlm.cache
import pipeline.vlm.decoder
from pipeline.generate import Prompt, WorkItem
from tests.vlm.arrivals import Arrived, arrivals
from tests.vlm.models import LONG, MEDIA, QUESTIONS, Model, model
from tests.vlm.reference import NEW
from training.evaluate import TINY


@pytest.fixture
def tiny() -> Model:
    return model(TINY)


@pytest.fixture
def little_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """So little that prompts wait and items are split."""
    monkeypatch.setattr(pipeline.vlm.decoder, "_BATCH_ROWS", 7)
    for module in (pipeline.vlm.decoder, pipeline.vlm.cache):
        monkeypatch.setattr(module, "MOST_CELLS", 900)


class Asked(Arrived):
    """A prompt that runs, and what must come of it."""

    def __init__(self, asked: Model, chance: random.Random) -> None:
        self.model = asked
        self.question = (
            chance.randrange(len(MEDIA)),
            chance.choice(QUESTIONS),
            chance.randint(1, NEW),
        )
        super().__init__(asked.submit(*self.question, priority=chance.choice((0, 0, 0, -1, 5))))

    def check(self) -> None:
        number, question, _ = self.question
        assert self.tokens == self.model.expected(number, question)[: len(self.tokens)]
        if not self.cancelled:
            self.model.check(self.handle.result(), *self.question)


def run(asked: Model, seed: int, count: int) -> None:
    chance = random.Random(seed)
    for one in arrivals(lambda: Asked(asked, chance), count, chance):
        one.check()
    assert not asked.batch.rows


@pytest.mark.parametrize("copied", [0, 16, 1000])
@pytest.mark.usefixtures("little_room")
def test_any_order_gives_the_tokens_of_generate(
    tiny: Model, copied: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline.vlm.cache, "_SHORT", copied)
    run(tiny, copied, 60)


@pytest.mark.parametrize("copied", [0, 128])
@pytest.mark.usefixtures("little_room")
def test_any_order_gives_the_tokens_of_generate_in_both_families(
    checkpoint: Path, copied: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Models that know nothing, but say something else at every token."""
    monkeypatch.setattr(pipeline.vlm.cache, "_SHORT", copied)
    run(model(checkpoint), copied, 30)


def test_a_thousand_prompts_give_the_tokens_of_generate(tiny: Model) -> None:
    run(tiny, 5, 1000)


def test_a_picture_with_more_prompts_than_a_batch_has_rows(tiny: Model) -> None:
    prompts = [Prompt(QUESTIONS[n % len(QUESTIONS)], 1 + n % 9) for n in range(150)]
    (given,) = tiny.generator.generate([WorkItem(tiny.features(1), prompts)])
    for prompt, one in zip(prompts, given, strict=True):
        tiny.check(one, 1, prompt.text, prompt.max_new_tokens)


@pytest.mark.usefixtures("little_room")
def test_what_is_larger_than_the_cache_goes_alone(tiny: Model) -> None:
    handles = [tiny.submit(0, LONG, most) for most in (4, 2000, 4)]
    for handle, most in zip(handles, (4, NEW, 4), strict=True):
        tiny.check(handle.result(), 0, LONG, most)


def test_threads_share_the_work(tiny: Model) -> None:
    asked = [Asked(tiny, random.Random(number)) for number in range(40)]
    with ThreadPoolExecutor(6) as pool:
        for done in [pool.submit(one.check) for one in asked]:
            done.result()
