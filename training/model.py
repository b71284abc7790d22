"""Model: a Qwen2-VL of 5 million parameters in the unmodified library class, and its beginning."""

import math
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import PreTrainedTokenizerFast, Qwen2VLConfig, Qwen2VLForConditionalGeneration

from training.tokens import SPECIAL, token_id

MEAN: Final = (0.48145466, 0.4578275, 0.40821073)
STD: Final = (0.26862954, 0.26130258, 0.27577711)
"""Of CLIP's pictures, for values in 0..1; those of all Qwen2-VL checkpoints."""


def build_model(tokenizer: PreTrainedTokenizerFast) -> Qwen2VLForConditionalGeneration:
    """The architecture with random weights that are large enough for a narrow model."""
    ids = {text: token_id(tokenizer, text) for text in SPECIAL}
    config = Qwen2VLConfig(
        text_config={
            "hidden_size": 192,
            "intermediate_size": 576,
            "num_hidden_layers": 6,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "vocab_size": -(-len(tokenizer) // 64) * 64,
            "max_position_embeddings": 32768,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 100.0,
                "mrope_section": [8, 8, 8],
            },
            "bos_token_id": ids["<|endoftext|>"],
            "eos_token_id": ids["<|im_end|>"],
            "pad_token_id": ids["<|endoftext|>"],
        },
        vision_config={
            "depth": 6,
            "embed_dim": 128,
            "num_heads": 4,
            "mlp_ratio": 4,
            "hidden_size": 192,
        },
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
        tie_word_embeddings=False,
    )
    model = Qwen2VLForConditionalGeneration(config)
    _initialise(model)
    model.generation_config.eos_token_id = ids["<|im_end|>"]
    model.generation_config.pad_token_id = ids["<|endoftext|>"]
    return model


def _initialise(model: Qwen2VLForConditionalGeneration) -> None:
    residual = ("o_proj.weight", "down_proj.weight", "attn.proj.weight", "mlp.fc2.weight")
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.ndim < 2:
                continue
            scale = 1 / math.sqrt(weight[0].numel())
            if name.endswith("embed_tokens.weight"):
                scale = 0.5
            elif name.endswith("lm_head.weight"):
                scale = 0.3 / math.sqrt(weight.shape[1])
            elif name.endswith(residual):
                scale /= 2
            weight.normal_(0, scale)


def to_patches(pictures: NDArray[np.uint8]) -> Tensor:
    """Patches of pictures `uint8 (batch, height, width, 3)` or clips `(batch, frames, ...)`.

    They are `uint8`, in merge order, as the reference processor gives, but not normalised. A
    still gives `(batch, patches, 588)`: its second temporal slot, equal to the first, is left
    out. A clip of an even number of frames gives `(batch * frames / 2, patches, 1176)`.
    """
    slots = 1 if pictures.ndim == 4 else 2
    height, width = pictures.shape[-3:-1]
    blocks = pictures.reshape(-1, slots, height // 28, 2, 14, width // 28, 2, 14, 3)
    ordered = blocks.transpose(0, 2, 5, 3, 6, 8, 1, 4, 7)  # n, H, W, h, w, channel, slot, y, x
    return torch.from_numpy(np.ascontiguousarray(ordered).reshape(len(blocks), -1, 588 * slots))


def normalise(patches: Tensor) -> Tensor:
    """Patches `(..., 588 or 1176)` with the processor's mean and deviation, float32."""
    area = patches.shape[-1] // 3
    mean, std = (
        torch.tensor(values, device=patches.device).repeat_interleave(area)
        for values in (MEAN, STD)
    )
    return patches.float().mul_(1 / (255 * std)).sub_(mean / std)


@torch.no_grad()
def whiten(model: Qwen2VLForConditionalGeneration, patches: Tensor) -> None:
    """Set the patch projection to whitened principal components, turned at random.

    Strokes are one per cent of a patch's variance; without this the tower cannot see them.

    Args:
        model: its patch projection is overwritten.
        patches: `uint8 (n, 588)` sample of patches.
    """
    still = normalise(patches).double()
    centred = still - still.mean(0)
    _, values, directions = torch.linalg.svd(centred, full_matrices=False)
    weight = model.model.visual.patch_embed.proj.weight
    kept = weight.shape[0]
    scale = (values[:kept] / math.sqrt(len(patches))).clamp_min(1e-3)
    rotation, _ = torch.linalg.qr(torch.randn(kept, kept, dtype=torch.double))
    kernel = rotation @ (directions[:kept] / scale[:, None])
    weight.copy_((kernel / 2).view(kept, 3, 1, 14, 14).expand_as(weight).float())
