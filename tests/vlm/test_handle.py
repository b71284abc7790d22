"""One answer: token by token, in its turn, ended early, masked, and when the model fails."""

from collections.abc import Sequence
from concurrent.futures import CancelledError

import numpy as np
import pytest
import torch
from torch import Tensor

import pipeline.vlm.decoder
from pipeline.generate import Prompt, WorkItem
from pipeline.vlm.language import Batch
from schemas.errors import InputError
from schemas.features import Features
from tests.vlm.models import LONG, Model, model
from training.evaluate import TINY


@pytest.fixture
def tiny() -> Model:
    return model(TINY)


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


def test_features_that_do_not_fill_their_pads_are_refused(tiny: Model) -> None:
    odd = Features(np.zeros((1, 192), np.float32), (1, 1, 4), "odd")
    with pytest.raises(InputError, match="no multiples of 2"):
        tiny.generator.submit([odd], Prompt(LONG))


def test_prompts_with_other_tools_share_nothing_with_a_picture_in_it(tiny: Model) -> None:
    tool = '{"type": "function", "function": {"name": "tap", "parameters": {}}}'
    prompts = [Prompt(LONG, 5), Prompt(LONG, 5, tools=(tool,))]
    (together,) = tiny.generator.generate([WorkItem(tiny.features(0), prompts)])
    for prompt, given in zip(prompts, together, strict=True):
        ((alone,),) = tiny.generator.generate([WorkItem(tiny.features(0), [prompt])])
        assert given.tokens == alone.tokens
        assert given.prompt_tokens == alone.prompt_tokens
