"""Both halves on their own, and our loop, give the tokens of the whole model's `generate`."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModelForImageTextToText,
    AutoTokenizer,
    PreTrainedModel,
)

from pipeline.encode import Encoder
from pipeline.generate import Generation, Generator, Prompt, WorkItem
from pipeline.vlm.checkpoint import load_language, load_vision, read_processor, revision
from pipeline.vlm.clip import Clip
from pipeline.vlm.positions import Span, VisionBlock, rope_positions
from pipeline.vlm.preprocess import patchify
from schemas.errors import SetupError

NEW = 24
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


def whole_model(directory: Path) -> PreTrainedModel:
    return AutoModelForImageTextToText.from_pretrained(directory, dtype=torch.float32).eval()


class Reference:
    """A plain loop over the whole model, the whole sequence again at each token."""

    def __init__(self, directory: Path, items: list[np.ndarray | Clip], question: str) -> None:
        self.model = whole_model(directory)
        self.words = AutoTokenizer.from_pretrained(directory)
        processor = read_processor(directory)
        self.inputs: dict[str, torch.Tensor] = {}
        self.spans: list[Span] = []
        head = "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n"
        self.ids: list[int] = []
        self._text(head)
        for kind, pixels in (("image", "pixel_values"), ("video", "pixel_values_videos")):
            cut = [
                patchify(
                    item.frames if isinstance(item, Clip) else item[None],
                    processor.mean,
                    processor.std,
                )
                for item in items
                if isinstance(item, Clip) is (kind == "video")
            ]
            if cut:
                self.inputs[pixels] = torch.from_numpy(np.concatenate([c[0] for c in cut]))
                self.inputs[f"{kind}_grid_thw"] = torch.tensor([c[1] for c in cut])
        for item in items:
            self._text("<|vision_start|>")
            video = isinstance(item, Clip)
            frames = item.frames if video else item[None]
            t, h, w = -(-len(frames) // 2), frames.shape[1] // 14, frames.shape[2] // 14
            self.spans.append(VisionBlock(t, h, w, 2 / item.fps if video else None))
            pad = self.words.convert_tokens_to_ids("<|video_pad|>" if video else "<|image_pad|>")
            self.ids += [pad] * (t * h * w // 4)
            self._text("<|vision_end|>")
        self._text(f"{question}<|im_end|>\n<|im_start|>assistant\n")

    def _text(self, text: str) -> None:
        ids = self.words.encode(text)
        self.ids += ids
        self.spans.append(len(ids))

    def loop(self) -> list[int]:
        rate = getattr(self.model.config.vision_config, "tokens_per_second", None)
        sequence, out = list(self.ids), []
        with torch.inference_mode():
            for count in range(NEW):
                positions, _ = rope_positions([*self.spans, count], tokens_per_second=rate)
                logits = self.model(
                    input_ids=torch.tensor([sequence]),
                    position_ids=torch.from_numpy(positions)[:, None],
                    use_cache=False,
                    **self._typed(sequence),
                ).logits
                token = int(logits[0, -1].argmax())
                sequence.append(token)
                out.append(token)
                if token == self.words.eos_token_id:
                    break
        return out

    def _typed(self, sequence: list[int]) -> dict[str, torch.Tensor]:
        ids = torch.tensor([sequence])
        image = (ids == self.model.config.image_token_id).int()
        video = (ids == self.model.config.video_token_id).int()
        return self.inputs | {"mm_token_type_ids": image + 2 * video}

    def library_generate(self) -> list[int]:
        ids = torch.tensor([self.ids])
        out = self.model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=NEW,
            do_sample=False,
            **self._typed(self.ids),
        )
        return out[0, ids.shape[1] :].tolist()


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


def test_revision_follows_the_content(checkpoint: Path, tmp_path: Path) -> None:
    other = rekeyed(checkpoint, tmp_path / "other")
    assert revision(checkpoint) == revision(checkpoint)
    assert revision(checkpoint) != revision(other)
