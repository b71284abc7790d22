"""Model: a Qwen2-VL of 2.5 million parameters, its initialisation and its training forward.

The weights live in the unmodified library class. Only the tower's forward is written again here,
for batches of pictures of one size, where attention is one dense call; a test compares the two.
"""

import math
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedTokenizerFast, Qwen2VLConfig, Qwen2VLForConditionalGeneration
from transformers.models.qwen2_vl.modeling_qwen2_vl import VisionAttention

from training.canvas import COLUMNS, LABELS
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
            "intermediate_size": 384,
            "num_hidden_layers": 4,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "vocab_size": 128,
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
            "depth": 4,
            "embed_dim": 128,
            "num_heads": 4,
            "mlp_ratio": 3,
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
    """Patches `uint8 (batch, patches, 588)` of pictures `uint8 (batch, height, width, 3)`.

    Merge order, as the reference processor gives; the second temporal slot, equal to the first
    for a still picture, is left out, and so is the normalisation.
    """
    batch, height, width, _ = pictures.shape
    blocks = pictures.reshape(batch, height // 28, 2, 14, width // 28, 2, 14, 3)
    ordered = blocks.transpose(0, 1, 4, 2, 5, 7, 3, 6)  # batch, H, W, h, w, channel, y, x
    return torch.from_numpy(ordered.reshape(batch, -1, 588))


def normalise(patches: Tensor) -> Tensor:
    """Patches `(..., 588)` with the processor's mean and deviation, float32."""
    mean, std = (
        torch.tensor(values, device=patches.device).repeat_interleave(196) for values in (MEAN, STD)
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


def tower(model: Qwen2VLForConditionalGeneration, patches: Tensor, grid: tuple[int, int]) -> Tensor:
    """Visual tokens `(batch, cells, hidden)` of pictures of one size.

    Args:
        model: the whole model.
        patches: `uint8 (batch, patches, 588)`.
        grid: cells in height and width.
    """
    visual = model.model.visual
    batch, count, _ = patches.shape
    hidden = functional.linear(normalise(patches), visual.patch_embed.proj.weight.sum(2).flatten(1))
    rows, columns = torch.meshgrid(
        torch.arange(grid[0] * 2), torch.arange(grid[1] * 2), indexing="ij"
    )
    shape = (grid[0], 2, grid[1], 2)
    places = torch.stack(
        [axis.reshape(shape).transpose(1, 2).flatten() for axis in (rows, columns)], dim=-1
    ).to(patches.device)
    cos, sin = visual.rotary_pos_emb(hidden, places)
    for block in visual.blocks:
        hidden = hidden + _attention(block.attn, block.norm1(hidden), cos, sin)
        hidden = hidden + block.mlp(block.norm2(hidden))
    merged: Tensor = visual.merger(hidden.reshape(batch * count, -1))
    return merged.view(batch, count // 4, -1)


def _attention(attention: VisionAttention, hidden: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    batch, count, width = hidden.shape
    heads = attention.num_heads
    mixed = attention.qkv(hidden).view(batch, count, 3, heads, -1).permute(2, 0, 3, 1, 4)
    query, key, value = mixed.unbind(0)
    query, key = (part * cos + _rotate_half(part) * sin for part in (query, key))
    out = functional.scaled_dot_product_attention(query, key, value)
    joined: Tensor = attention.proj(out.transpose(1, 2).reshape(batch, count, width))
    return joined


def _rotate_half(values: Tensor) -> Tensor:
    first, second = values.chunk(2, dim=-1)
    return torch.cat((-second, first), dim=-1)


class DenseHead(nn.Module):
    """Names what lies under each of a cell's columns; used in training and thrown away."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.linear = nn.Linear(hidden, COLUMNS * LABELS)

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits `(batch, cells, columns, labels)` of visual tokens `(batch, cells, hidden)`."""
        logits: Tensor = self.linear(tokens)
        return logits.view(*tokens.shape[:2], COLUMNS, LABELS)
