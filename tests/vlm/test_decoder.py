"""Prompts that come, go and wait in any order are answered as one `generate` a prompt does."""

import random
from collections.abc import Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from functools import cache
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

import pipeline.vlm.cache
import pipeline.vlm.decoder
from pipeline.encode import Clip, Encoder
from pipeline.generate import Generation, Generator, Handle, Parameters, Prompt, WorkItem
from pipeline.vlm.checkpoint import read_tokenizer, stop_tokens
from pipeline.vlm.language import Batch, Mask
from schemas.features import Features
from tests.vlm.reference import NEW, Reference
from training.evaluate import TINY, draw
from training.table import PARTS

SHOWN = ("English, one to three lines", "german", "japanese", "clip: what", "page", "one shape")
EXAMPLES = [
    example
    for part in PARTS
    if part.name in SHOWN
    for example in draw(part.name, part.draw, 2, seed=4)
]
PIXELS = [one.picture if one.fps is None else Clip(one.picture, one.fps) for one in EXAMPLES]
MEDIA: list[list[np.ndarray | Clip]] = [
    *([one] for one in PIXELS),
    *(PIXELS[0:4:3], PIXELS[6:1:-4], [PIXELS[1], PIXELS[4], PIXELS[0]]),
]
"""Pictures and clips, one, two or three a prompt."""
LONG = "Read the text."
QUESTIONS = sorted(
    {one.prompt for one in EXAMPLES} | {LONG, "Describe the picture.", "?", "7 + 15 ="}
)


class Model:
    """A checkpoint, and what the whole model of the library says."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.generator = Generator(directory)
        self.encoder = Encoder(directory)
        self.stop = stop_tokens(directory, read_tokenizer(directory))
        self.batch = self.generator._decoder._batch

    @cache  # noqa: B019 - as long as the tests
    def features(self, number: int) -> Sequence[Features]:
        return self.encoder.encode(MEDIA[number])

    @cache  # noqa: B019
    def expected(self, number: int, question: str) -> list[int]:
        """The library's own `generate`; its positions are wrong for clips, where it is our loop."""
        reference = Reference(self.directory, MEDIA[number], question)
        clips = any(isinstance(one, Clip) for one in MEDIA[number])
        return reference.loop() if clips else reference.library_generate()

    def submit(
        self,
        number: int,
        question: str,
        most: int = NEW,
        mask: Mask | None = None,
        priority: int = 0,
    ) -> Handle:
        prompt, features = Prompt(question, most), self.features(number)
        return self.generator.submit(features, prompt, Parameters(mask), priority)

    def check(self, given: Generation, number: int, question: str, most: int = NEW) -> None:
        right = self.expected(number, question)[:most]
        tokens = [*given.tokens, *(self.stop if given.finish_reason == "stop" else ())]
        assert tokens == right[: given.output_tokens]
        assert given.output_tokens == len(right) or given.finish_reason == "repetition"


@cache
def model(directory: Path) -> Model:
    return Model(directory)


@pytest.fixture
def tiny() -> Model:
    return model(TINY)


@pytest.fixture
def little_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """So little that prompts wait and items are split."""
    monkeypatch.setattr(pipeline.vlm.decoder, "_BATCH_ROWS", 7)
    monkeypatch.setattr(pipeline.vlm.decoder, "_BATCH_TOKENS", 900)


class Asked:
    """A prompt that runs, and what must come of it."""

    def __init__(self, asked: Model, chance: random.Random) -> None:
        self.model = asked
        self.question = (
            chance.randrange(len(MEDIA)),
            chance.choice(QUESTIONS),
            chance.randint(1, NEW),
        )
        self.handle = asked.submit(*self.question, priority=chance.choice((0, 0, 0, -1, 5)))
        self.stream = iter(self.handle)
        self.tokens: list[int] = []
        self.cancelled = False

    def read(self, count: int) -> None:
        self.tokens += islice(self.stream, count)

    def cancel(self) -> None:
        self.handle.cancel()
        self.cancelled = True

    def check(self) -> None:
        number, question, _ = self.question
        assert self.tokens == self.model.expected(number, question)[: len(self.tokens)]
        if not self.cancelled:
            self.model.check(self.handle.result(), *self.question)


def run(asked: Model, seed: int, count: int) -> None:
    """Prompts that arrive, are read from and are cancelled at random."""
    chance = random.Random(seed)
    there: list[Asked] = []
    while len(there) < count:
        there += [Asked(asked, chance) for _ in range(chance.choice((1, 1, 2, 12)))]
        for one in chance.sample(there, min(3, len(there))):
            one.read(chance.randint(0, 6))
        if chance.random() < 0.2:
            chance.choice(there).cancel()
    for one in there:
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


def test_a_prompt_joins_while_another_is_streamed(tiny: Model) -> None:
    first = iter(tiny.submit(10, LONG))
    begun = [next(first)]
    tiny.check(tiny.submit(1, LONG, 3).result(), 1, LONG, 3)
    assert [*begun, *first] == tiny.expected(10, LONG)


def test_the_lowest_priority_comes_first(tiny: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline.vlm.decoder, "_BATCH_ROWS", 1)
    handles = {priority: tiny.submit(0, LONG, priority=priority) for priority in (3, 1, 2)}
    handles[3].result()
    at = {priority: handle.result().latency_us for priority, handle in handles.items()}
    assert at[1] < at[2] < at[3]


def test_a_cancelled_answer_ends_and_frees_the_cache(tiny: Model) -> None:
    handle = tiny.submit(10, LONG)
    stream = iter(handle)
    next(stream)
    handle.cancel()
    assert list(stream) == []
    with pytest.raises(CancelledError):
        handle.result()
    assert not tiny.batch.rows
    assert tiny.batch._cells.keys.numel() == 0


def test_a_mask_chooses_among_the_tokens_that_it_leaves(tiny: Model) -> None:
    wanted = [40, 41, 42, *tiny.stop]

    def mask(tokens: Sequence[int], logits: Tensor) -> Tensor:
        left = torch.full_like(logits, -torch.inf)
        left[wanted[len(tokens)]] = logits[wanted[len(tokens)]]
        return left

    forced = tiny.submit(0, LONG, mask=mask)
    free = tiny.submit(10, LONG)
    assert list(forced) == wanted
    assert forced.result().logprob == 0.0  # of what the mask leaves
    tiny.check(free.result(), 10, LONG)


def test_a_mask_that_fails_ends_its_own_answer(tiny: Model) -> None:
    def mask(tokens: Sequence[int], logits: Tensor) -> Tensor:
        raise KeyError(len(tokens))

    bad, good = tiny.submit(0, LONG, mask=mask), tiny.submit(10, LONG)
    with pytest.raises(KeyError):
        bad.result()
    tiny.check(good.result(), 10, LONG)


def test_a_model_that_fails_ends_what_ran_and_nothing_else(
    tiny: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline.vlm.decoder, "_BATCH_ROWS", 1)
    handles = [tiny.submit(10, LONG) for _ in range(2)]
    with monkeypatch.context() as broken:
        broken.setattr(Batch, "_forward", lambda *_: torch.zeros(1)[2])
        with pytest.raises(IndexError):
            handles[0].result()
    tiny.check(handles[1].result(), 10, LONG)


def test_prompts_with_other_tools_share_nothing_with_a_picture_in_it(tiny: Model) -> None:
    tool = '{"type": "function", "function": {"name": "tap", "parameters": {}}}'
    prompts = [Prompt(LONG, 5), Prompt(LONG, 5, tools=(tool,))]
    (together,) = tiny.generator.generate([WorkItem(tiny.features(0), prompts)])
    for prompt, given in zip(prompts, together, strict=True):
        ((alone,),) = tiny.generator.generate([WorkItem(tiny.features(0), [prompt])])
        assert given.tokens == alone.tokens
        assert given.prompt_tokens == alone.prompt_tokens
