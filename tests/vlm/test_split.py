"""Both halves on their own, and our loop, give the tokens of the whole model's `generate`."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from pipeline.encode import Encoder
from pipeline.generate import Generation, Generator, Prompt, WorkItem
from pipeline.vlm.checkpoint import load_language, load_vision
from pipeline.vlm.clip import Clip
from pipeline.vlm.facts import revision
from schemas.errors import SetupError
from tests.vlm.reference import NEW, Reference

RANDOM = np.random.default_rng(3)
IMAGE_A = RANDOM.integers(0, 256, (56, 112, 3), dtype=np.uint8)
IMAGE_B = RANDOM.integers(0, 256, (84, 56, 3), dtype=np.uint8)
CLIP = Clip(RANDOM.integers(0, 256, (12, 56, 56, 3), dtype=np.uint8), fps=2.5)
CASES = {
    "one image": [IMAGE_A],
    "two images": [IMAGE_A, IMAGE_B],
    "video": [CLIP],
    "mix": [IMAGE_B, CLIP, IMAGE_A],
}


def split(directory: Path, items: list[np.ndarray | Clip], *questions: str) -> list[Generation]:
    features = Encoder(directory).encode(items)
    prompts = [Prompt(question, NEW) for question in questions]
    return Generator(directory).generate([WorkItem(features, prompts)])[0]


def tokens_of(generation: Generation, stop: int) -> list[int]:
    return [*generation.tokens, *([stop] if generation.finish_reason == "stop" else [])]


@pytest.mark.parametrize("case", CASES)
def test_split_equals_the_whole_model(checkpoint: Path, case: str) -> None:
    reference = Reference(checkpoint, CASES[case], "What is this?")
    expected = reference.loop()
    (given,) = split(checkpoint, CASES[case], "What is this?")
    assert tokens_of(given, reference.words.eos_token_id) == expected[: given.output_tokens]
    assert given.output_tokens == len(expected) or given.finish_reason == "repetition"
    assert len(set(expected)) > 2  # a checkpoint that says one token only would prove nothing


@pytest.mark.parametrize("case", ["one image", "two images"])
def test_split_equals_library_generate(checkpoint: Path, case: str) -> None:
    """Images only: the library's positions are wrong for video."""
    reference = Reference(checkpoint, CASES[case], "Why?")
    (given,) = split(checkpoint, CASES[case], "Why?")
    expected = reference.library_generate()
    assert tokens_of(given, reference.words.eos_token_id) == expected[: given.output_tokens]


def test_forked_prompts_equal_one_call_each(checkpoint: Path) -> None:
    questions = ["Why?", "What is the text in it?", "Describe the picture.", "?"]
    together = split(checkpoint, [IMAGE_A], *questions)
    for question, given in zip(questions, together, strict=True):
        (alone,) = split(checkpoint, [IMAGE_A], question)
        assert given.tokens == alone.tokens
        assert given.prompt_tokens == alone.prompt_tokens


def test_batched_items_equal_one_call_each(checkpoint: Path) -> None:
    pictures = [RANDOM.integers(0, 256, (56, 112, 3), dtype=np.uint8) for _ in range(5)]
    pictures.insert(2, IMAGE_B)
    features = Encoder(checkpoint).encode(pictures)
    prompts = [Prompt("What?", NEW), Prompt("Where is it?", NEW)]
    generator = Generator(checkpoint)
    together = generator.generate([WorkItem([one], prompts) for one in features])
    for one, given in zip(features, together, strict=True):
        (alone,) = generator.generate([WorkItem([one], prompts)])
        assert [g.tokens for g in given] == [g.tokens for g in alone]


def test_equal_pictures_are_encoded_once(checkpoint: Path) -> None:
    first, other, again = Encoder(checkpoint).encode([IMAGE_A, IMAGE_B, IMAGE_A.copy()])
    assert first is again
    assert first.key != other.key


def rekeyed(directory: Path, target: Path) -> Path:
    """The same checkpoint with the names of published ones, in one file a half."""
    target.mkdir()
    for path in directory.iterdir():
        if path.suffix != ".safetensors":
            (target / path.name).write_bytes(path.read_bytes())
    halves: dict[str, dict[str, torch.Tensor]] = {"vision": {}, "language": {}}
    for name, value in load_file(directory / "model.safetensors").items():
        short = name.replace("model.visual.", "visual.").replace("model.language_model.", "model.")
        halves["vision" if short.startswith("visual.") else "language"][short] = value
    for half, tensors in halves.items():
        save_file(tensors, target / f"{half}.safetensors")
    return target


def test_halves_read_their_own_shard_in_the_published_layout(
    checkpoint: Path, tmp_path: Path
) -> None:
    other = rekeyed(checkpoint, tmp_path / "published")
    expected = split(checkpoint, [IMAGE_A], "Why?")[0].tokens
    assert split(other, [IMAGE_A], "Why?")[0].tokens == expected
    vision = (other / "vision.safetensors").read_bytes()
    (other / "vision.safetensors").unlink()
    load_language(other, "cpu", torch.float32)
    with pytest.raises(SetupError, match="tensors are missing"):
        load_vision(other, "cpu", torch.float32)
    (other / "vision.safetensors").write_bytes(vision)
    (other / "language.safetensors").unlink()
    load_vision(other, "cpu", torch.float32)


def test_unusable_checkpoints_are_refused(tmp_path: Path, checkpoint: Path) -> None:
    with pytest.raises(SetupError, match=r"no config\.json"):
        load_vision(tmp_path, "cpu", torch.float32)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "llama"}))
    with pytest.raises(SetupError, match="llama"):
        load_vision(tmp_path, "cpu", torch.float32)
    (tmp_path / "config.json").write_bytes((checkpoint / "config.json").read_bytes())
    (tmp_path / "pytorch_model.bin").write_bytes(b"pickle")
    with pytest.raises(SetupError, match="convert them to safetensors"):
        load_language(tmp_path, "cpu", torch.float32)


def test_a_sliding_window_is_refused(tmp_path: Path, checkpoint: Path) -> None:
    config = json.loads((checkpoint / "config.json").read_text())
    text = config["text_config"]
    text |= {"layer_types": ["sliding_attention"] * 2, "use_sliding_window": True}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(SetupError, match="sliding window"):
        load_language(tmp_path, "cpu", torch.float32)


@pytest.mark.parametrize("method", ["awq", "gptq", "fp8"])
def test_quantised_weights_are_for_vllm(tmp_path: Path, checkpoint: Path, method: str) -> None:
    config = json.loads((checkpoint / "config.json").read_text())
    config["quantization_config"] = {"quant_method": method, "bits": 4, "group_size": 128}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(SetupError, match=f"{method}.*--engine vllm") as caught:
        load_language(tmp_path, "cpu", torch.float32)
    assert caught.value.code == "model_unsupported"


def test_revision_follows_the_content(checkpoint: Path, tmp_path: Path) -> None:
    other = rekeyed(checkpoint, tmp_path / "other")
    assert revision(checkpoint) == revision(checkpoint)
    assert revision(checkpoint) != revision(other)
