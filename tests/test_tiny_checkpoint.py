"""The checkpoint that ships: what it is, what it does, and that training matches inference."""

import random
from functools import cache
from typing import Any, Final

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from transformers import (
    AutoImageProcessor,
    AutoTokenizer,
    PreTrainedTokenizerBase,
    Qwen2VLForConditionalGeneration,
)

from pipeline.vlm.facts import read_processor
from pipeline.vlm.preprocess import patchify
from training.batches import Batcher
from training.evaluate import NEW_TOKENS, TINY, Reader, agreement, answer_all, draw, evaluate
from training.evaluate import figures as measured
from training.lines import text_line
from training.model import MEAN, STD, normalise, to_patches
from training.table import PARTS
from training.tokens import MARKS, SPECIAL, build_tokenizer, token_id

COUNT: Final = 60
LEAST: Final = {
    "English, one clean line": 0.9,
    "English, one to three lines": 0.88,
    "chinese": 0.83,
    "japanese": 0.86,
    "korean": 0.9,
    "arabic": 0.88,
    "russian": 0.85,
    "german": 0.9,
    "french": 0.9,
    "spanish": 0.88,
    "polish": 0.9,
    "greek": 0.88,
    "vietnamese": 0.8,
    "one shape": 0.96,
    "two or three shapes": 0.9,
    "clip: what": 0.92,
    "clip: when": 0.9,
    "page": 0.88,
    "arithmetic": 0.84,
    "largest bar": 0.9,
    "function call": 0.9,
    "tap": 0.9,
}
"""Parts of the table, a little below what `python -m training.evaluate` reaches."""
GUESSED: Final = 0.25
"""What a blank picture's answers may reach: a yes or no is half right, but rare."""


@cache
def reader() -> Reader:
    torch.set_num_threads(1)
    return Reader(TINY)


@cache
def library() -> Qwen2VLForConditionalGeneration:
    return Qwen2VLForConditionalGeneration.from_pretrained(TINY, dtype=torch.float32).eval()


@cache
def tokenizer() -> PreTrainedTokenizerBase:
    loaded: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(TINY)
    return loaded


def noise(*shape: int) -> NDArray[np.uint8]:
    return np.random.default_rng(5).integers(0, 256, (*shape, 3), dtype=np.uint8)


def test_is_small_and_complete() -> None:
    assert (TINY / "model.safetensors").stat().st_size < 25e6
    load: Any = Qwen2VLForConditionalGeneration.from_pretrained
    model, loading = load(TINY, output_loading_info=True)
    assert not any(loading[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    assert 1e6 < model.num_parameters() < 12e6
    assert model.generation_config.eos_token_id == tokenizer().eos_token_id
    assert "toy" in (TINY / "README.md").read_text()


@given(text=st.text())
def test_any_text_comes_back_from_its_tokens(text: str) -> None:
    ids = tokenizer().encode(text)
    assert tokenizer().decode(ids) == text
    assert tokenizer().unk_token_id not in ids


def test_tokenizer_knows_the_tokens_of_qwen() -> None:
    for token in (*SPECIAL, *MARKS):
        assert tokenizer().encode(token) == [token_id(tokenizer(), token)]
    assert tokenizer().get_vocab() == build_tokenizer().get_vocab()
    answer = tokenizer().encode("<tool_call>a</tool_call><|im_end|>")
    shown = tokenizer().decode(answer, skip_special_tokens=True)
    assert shown == "<tool_call>a</tool_call>"


def test_training_patches_are_those_of_the_processors() -> None:
    picture = noise(84, 140)
    ours, grid = patchify(picture[None], MEAN, STD)
    load: Any = AutoImageProcessor.from_pretrained
    reference = load(TINY)(images=[picture], return_tensors="np", do_resize=False)
    np.testing.assert_allclose(reference["pixel_values"], ours, atol=1e-6)
    trained = normalise(to_patches(picture[None]))[0].numpy().reshape(-1, 3, 1, 14, 14)
    both_slots = np.broadcast_to(trained, (len(ours), 3, 2, 14, 14)).reshape(len(ours), -1)
    np.testing.assert_allclose(both_slots, ours, atol=1e-5)
    settings = read_processor(TINY)
    assert grid == (1, 6, 10)
    assert (settings.min_pixels, settings.max_pixels) == (4 * 784, 48 * 784)


def test_greedy_answers_are_those_of_generate() -> None:
    drawn = text_line(random.Random("generate"), (2, 6), held_out=True)
    asked = Batcher(tokenizer()).ask(drawn, (1, 2, 6))
    patches, grid = patchify(drawn.picture[None], MEAN, STD)
    ids = torch.tensor([asked.ids])
    model: Any = library()
    whole = model.generate(  # the library's own positions are right for a still picture
        input_ids=ids,
        pixel_values=torch.from_numpy(patches),
        image_grid_thw=torch.tensor([grid]),
        mm_token_type_ids=(ids == token_id(tokenizer(), "<|image_pad|>")).int(),
        max_new_tokens=NEW_TOKENS,
        do_sample=False,
    )
    text = tokenizer().decode(whole[0, ids.shape[1] :], skip_special_tokens=True)
    assert reader().read([drawn]) == [text]


@pytest.mark.parametrize(("name", "least"), LEAST.items(), ids=LEAST)
def test_does_what_it_was_trained_for(name: str, least: float) -> None:
    (part,) = [part for part in PARTS if part.name == name]
    examples = draw(name, part.draw, COUNT, seed=1)
    for figure in measured(part, list(zip(examples, answer_all(reader(), examples), strict=True))):
        assert figure.reached >= least, figure.wrong


def test_without_the_picture_it_can_only_guess() -> None:
    parts = [part for part in PARTS if part.name in LEAST]
    for figure in evaluate(reader(), 20, seed=1, blank=True, parts=parts):
        if figure.measure in ("lines", "words", "answers", "right call", "inside"):
            assert figure.reached <= GUESSED, figure


def test_sizes_and_ratios_agree() -> None:
    assert agreement(reader(), 16, seed=1).reached >= 0.85
