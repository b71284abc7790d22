"""The whole model of the library, token by token: what our halves have to say too."""

from functools import cache
from pathlib import Path

import numpy as np
import torch
from transformers import (
    AutoModelForImageTextToText,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from pipeline.vlm.clip import Clip
from pipeline.vlm.facts import read_processor
from pipeline.vlm.positions import Span, VisionBlock, rope_positions
from pipeline.vlm.preprocess import patchify

NEW = 24


@cache
def whole_model(directory: Path) -> PreTrainedModel:
    return AutoModelForImageTextToText.from_pretrained(directory, dtype=torch.float32).eval()


@cache
def words_of(directory: Path) -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(directory)


class Reference:
    """A plain loop over the whole model, the whole sequence again at each token."""

    def __init__(self, directory: Path, items: list[np.ndarray | Clip], question: str) -> None:
        self.model = whole_model(directory)
        self.words = words_of(directory)
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
