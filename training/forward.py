"""Forward: the model's two halves as training runs them, a batch of one size at a time.

The library loops over pictures, and its attention's backward is slow on a CPU at these sizes.
Here attention is two matrix products, and the blocks can be compiled; tests compare the results
with the library's.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import Qwen2VLForConditionalGeneration

from training.model import normalise

Block = Callable[[Any, Tensor, Tensor, Tensor], Tensor]


def vision_block(block: Any, hidden: Tensor, cos: Tensor, sin: Tensor) -> Tensor:  # noqa: ANN401
    """One block of the tower on `(pictures, patches, width)`."""
    attention = block.attn
    batch, count, width = hidden.shape
    mixed = attention.qkv(block.norm1(hidden)).view(batch, count, 3, attention.num_heads, -1)
    query, key, value = mixed.permute(2, 0, 3, 1, 4).unbind(0)
    query, key = _turn(query, cos, sin), _turn(key, cos, sin)
    out = _attend(query, key, value, causal=False)
    hidden = hidden + attention.proj(out.transpose(1, 2).reshape(batch, count, width))
    mixed_in: Tensor = hidden + block.mlp(block.norm2(hidden))
    return mixed_in


def text_block(layer: Any, hidden: Tensor, cos: Tensor, sin: Tensor) -> Tensor:  # noqa: ANN401
    """One layer of the language model on `(rows, tokens, width)`; padding is on the right."""
    attention = layer.self_attn
    batch, count, width = hidden.shape
    normed = layer.input_layernorm(hidden)
    query, key, value = (
        projection(normed).view(batch, count, -1, attention.head_dim).transpose(1, 2)
        for projection in (attention.q_proj, attention.k_proj, attention.v_proj)
    )
    query, key = _turn(query, cos, sin), _turn(key, cos, sin)
    groups = attention.num_key_value_groups
    key, value = (part.repeat_interleave(groups, dim=1) for part in (key, value))
    out = _attend(query, key, value, causal=True)
    hidden = hidden + attention.o_proj(out.transpose(1, 2).reshape(batch, count, width))
    mixed_in: Tensor = hidden + layer.mlp(layer.post_attention_layernorm(hidden))
    return mixed_in


def _attend(query: Tensor, key: Tensor, value: Tensor, *, causal: bool) -> Tensor:
    weights = (query @ key.transpose(-1, -2)).float() * query.shape[-1] ** -0.5
    if causal:
        count = query.shape[-2]
        later = torch.ones(count, count, dtype=torch.bool, device=query.device).triu(1)
        weights = weights.masked_fill(later, -1e4)
    return torch.softmax(weights, dim=-1).to(value.dtype) @ value


def _turn(values: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    first, second = values.chunk(2, dim=-1)
    return values * cos + torch.cat((-second, first), dim=-1) * sin


class Forward:
    """Runs the halves of a model; holds no weights of its own."""

    def __init__(self, model: Qwen2VLForConditionalGeneration, *, compiled: bool = False) -> None:
        """With `compiled`, blocks are compiled at their first use (tens of seconds)."""
        self._model = model
        self._vision: Block = vision_block
        self._text: Block = text_block
        if compiled:
            self._vision = torch.compile(vision_block, dynamic=True)
            self._text = torch.compile(text_block, dynamic=True)

    def tower(self, patches: Tensor, grid: tuple[int, int]) -> Tensor:
        """Visual tokens `(pictures, cells, hidden)` of pictures of one size.

        Args:
            patches: `uint8 (pictures, patches, 588)`, or 1176 for the two frames of a clip's
                temporal grids, each of which is a picture here.
            grid: cells in height and width.
        """
        visual = self._model.model.visual
        batch, count, size = patches.shape
        kernel = visual.patch_embed.proj.weight
        if size == 588:
            kernel = kernel.sum(2)
        hidden = functional.linear(normalise(patches), kernel.flatten(1))
        cos, sin = visual.rotary_pos_emb(hidden, _places(grid).to(patches.device))
        cos, sin = cos.to(hidden.dtype), sin.to(hidden.dtype)
        for block in visual.blocks:
            hidden = self._vision(block, hidden, cos, sin)
        merged: Tensor = visual.merger(hidden.reshape(batch * count, -1))
        return merged.view(batch, count // 4, -1)

    def language(self, embedded: Tensor, positions: Tensor) -> Tensor:
        """Last hidden states of `(rows, tokens, width)` at positions `(3, rows, tokens)`."""
        text = self._model.model.language_model
        cos, sin = text.rotary_emb(embedded, positions)
        cos, sin = cos[:, None], sin[:, None]
        if torch.is_autocast_enabled("cpu"):
            cos, sin = cos.bfloat16(), sin.bfloat16()
        hidden = embedded
        for layer in text.layers:
            hidden = self._text(layer, hidden, cos, sin)
        normed: Tensor = text.norm(hidden)
        return normed


def _places(grid: tuple[int, int]) -> Tensor:
    """Row and column of each patch `(patches, 2)`, in merge order."""
    axes = torch.meshgrid(torch.arange(grid[0] * 2), torch.arange(grid[1] * 2), indexing="ij")
    shape = (grid[0], 2, grid[1], 2)
    return torch.stack([axis.reshape(shape).transpose(1, 2).flatten() for axis in axes], dim=-1)


class DenseHead(nn.Module):
    """Names what lies under each of a cell's columns; used in training and thrown away."""

    def __init__(self, hidden: int, columns: int, labels: int, rank: int = 64) -> None:
        super().__init__()
        self.columns = columns
        self.spread = nn.Linear(hidden, columns * rank)
        self.name = nn.Linear(rank, labels)

    def forward(self, tokens: Tensor, chosen: Tensor) -> Tensor:
        """Logits `(n, labels)` of the chosen columns.

        Args:
            tokens: visual tokens `(pictures, cells, hidden)`.
            chosen: `bool (pictures, cells, columns)`.
        """
        spread = self.spread(tokens).view(*tokens.shape[:2], self.columns, -1)
        logits: Tensor = self.name(spread[chosen])
        return logits
