"""The checkpoint that ships: what it is, what it reads, and that training matches inference."""

import random
from functools import cache
from typing import Any

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

from pipeline.vlm.checkpoint import read_processor
from pipeline.vlm.preprocess import patchify
from training import words
from training.canvas import CLEAN
from training.evaluate import NEW_TOKENS, TINY, Reader, score
from training.lines import FONT_ROOT, FONTS, text_line
from training.model import MEAN, STD, normalise, to_patches, tower
from training.pictures import FRAMES, question_on
from training.shapes import single_shape
from training.tokens import SPECIAL, build_tokenizer, token_id
from training.train import PHASES, Stream

needs_sources = pytest.mark.skipif(
    not (words.WORD_LIST.exists() and all((FONT_ROOT / name).exists() for name in FONTS)),
    reason="needs Debian's word list (wamerican) and fonts, see training/lines.py",
)
printable = st.text(st.characters(min_codepoint=32, max_codepoint=126) | st.just("\n"))


@cache
def reader() -> Reader:
    torch.set_num_threads(1)
    return Reader(TINY)


@cache
def tokenizer() -> PreTrainedTokenizerBase:
    loaded: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(TINY)
    return loaded


def noise(*shape: int) -> NDArray[np.uint8]:
    return np.random.default_rng(5).integers(0, 256, (*shape, 3), dtype=np.uint8)


def test_is_small_and_complete() -> None:
    assert (TINY / "model.safetensors").stat().st_size < 12e6
    load: Any = Qwen2VLForConditionalGeneration.from_pretrained
    model, loading = load(TINY, output_loading_info=True)
    assert not any(loading[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    assert 1e6 < model.num_parameters() < 5e6
    assert model.generation_config.eos_token_id == tokenizer().eos_token_id
    assert "toy" in (TINY / "README.md").read_text()


@given(text=printable)
def test_tokenizer_round_trip(text: str) -> None:
    ids = tokenizer().encode(text)
    assert tokenizer().decode(ids) == text
    assert tokenizer().unk_token_id not in ids


def test_tokenizer_knows_the_special_tokens_and_marks_the_unknown() -> None:
    for token in SPECIAL:
        assert tokenizer().encode(token) == [token_id(tokenizer(), token)]
    assert tokenizer().encode("é") == [tokenizer().unk_token_id]
    assert tokenizer().get_vocab() == build_tokenizer().get_vocab()
    assert tokenizer().decode(tokenizer().encode("a<|im_end|>"), skip_special_tokens=True) == "a"


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


def test_training_forward_is_that_of_the_library() -> None:
    pictures = noise(2, 56, 112)
    with torch.inference_mode():
        ours = tower(reader().model, to_patches(pictures), (2, 4))
        inputs = reader().inputs(list(pictures), "Read the text.")
        reference = reader().model.model.visual(
            inputs["pixel_values"], grid_thw=inputs["image_grid_thw"]
        )
    torch.testing.assert_close(ours.flatten(0, 1), reference.pooler_output, rtol=1e-3, atol=1e-3)


@needs_sources
def test_greedy_answers_are_those_of_generate() -> None:
    drawn = text_line(random.Random("generate"), (2, 6), held_out=True)
    inputs = reader().inputs([drawn.picture], drawn.prompt)
    ids = inputs["input_ids"]
    is_image = ids == token_id(tokenizer(), "<|image_pad|>")
    arguments: dict[str, Any] = inputs | {"mm_token_type_ids": is_image.to(torch.int32)}
    del arguments["position_ids"]  # the library's own are right for a still picture
    model: Any = reader().model
    whole = model.generate(**arguments, max_new_tokens=NEW_TOKENS, do_sample=False)
    text = tokenizer().decode(whole[0, ids.shape[1] :], skip_special_tokens=True)
    assert reader().read([drawn.picture], drawn.prompt) == [text]


@needs_sources
def test_training_never_shows_held_out_words() -> None:
    assert not set(words.words(True)) & set(words.words(False))
    random_ = random.Random(0)
    for _ in range(2000):
        assert not any(map(words.is_held_out, words.line(random_, False).split()))
        assert all(map(words.is_held_out, words.line(random_, True).split()))


@needs_sources
@pytest.mark.parametrize("phase", sorted(PHASES))
def test_batches_depend_on_seed_and_step_alone(phase: str) -> None:
    def batch(seed: int, first: int) -> torch.Tensor:
        stream = Stream(build_tokenizer(), PHASES[phase], seed, first, 4)
        return list(stream)[-1].patches

    assert torch.equal(batch(3, 0), batch(3, 3))
    assert not (batch(3, 3).shape == batch(4, 3).shape and torch.equal(batch(3, 3), batch(4, 3)))


def test_questions_on_a_shape_have_the_right_answers() -> None:
    random_ = random.Random(1)
    seen = set()
    for _ in range(200):
        drawn = single_shape(random_, (2, 2), CLEAN)
        asked = question_on(random_, drawn, FRAMES)
        seen.add(asked.prompt.partition(" a")[0])
        if asked.prompt.startswith("Is there"):
            there = asked.prompt == f"Is there {drawn.answer}?"
            assert asked.answer == ("yes" if there else "no")
        elif asked.prompt != "Read the text.":
            assert asked.answer in drawn.answer
    assert seen >= {"Describe the picture.", "Is there", "What shape is it?"}


@needs_sources
@pytest.mark.parametrize(
    ("kind", "least"), [("lines", 0.85), ("shapes", 0.97), ("questions", 0.95)]
)
def test_reads_what_it_was_trained_for(kind: str, least: float) -> None:
    result = score(reader(), kind, 100, seed=1)
    assert result.share >= least, result.wrong
