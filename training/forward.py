"""Forward: the model's two halves as training runs them, a batch of one size at a time.

The library loops over pictures, and its attention's backward is slow on a CPU at these sizes.
Here attention is two matrix products, and the blocks can be compiled; tests compare the results
with the library's.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from transformers import Qwen2VLForConditionalGeneration

from training.model import normalise

VisionBlock = Callable[[Any, Tensor, Tensor, Tensor], Tensor]
TextBlock = Callable[[Any, Tensor, Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]


def vision_block(block: Any, hidden: Tensor, cos: Tensor, sin: Tensor) -> Tensor:  # noqa: ANN401
    """One block of the tower on `(pictures, patches, width)`."""
    attention = block.attn
    batch, count, width = hidden.shape
    mixed = attention.qkv(block.norm1(hidden)).view(batch, count, 3, attention.num_heads, -1)
    query, key, value = mixed.permute(2, 0, 3, 1, 4).unbind(0)
    query, key = _turn(query, cos, sin), _turn(key, cos, sin)
    out = _weights(query, key) @ value
    hidden = hidden + attention.proj(out.transpose(1, 2).reshape(batch, count, width))
    mixed_in: Tensor = hidden + block.mlp(block.norm2(hidden))
    return mixed_in


def text_block(
    layer: Any,  # noqa: ANN401
    hidden: Tensor,
    cos: Tensor,
    sin: Tensor,
    hide: Tensor,
) -> tuple[Tensor, Tensor]:
    """One layer of the language model on `(rows, tokens, width)`.

    Args:
        layer: its weights.
        hidden: what comes in.
        cos: of the positions.
        sin: of the positions.
        hide: added to the attention's logits, `(rows, 1, tokens, tokens)`.

    Returns:
        What goes out, and the attention of the first head `(rows, tokens, tokens)`.
    """
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
    weights = _weights(query, key, hide)
    out = weights @ value
    hidden = hidden + attention.o_proj(out.transpose(1, 2).reshape(batch, count, width))
    return hidden + layer.mlp(layer.post_attention_layernorm(hidden)), weights[:, 0]


def _weights(query: Tensor, key: Tensor, hide: Tensor | None = None) -> Tensor:
    logits = (query @ key.transpose(-1, -2)).float() * query.shape[-1] ** -0.5
    if hide is not None:
        logits = logits + hide
    return torch.softmax(logits, dim=-1).to(query.dtype)


def _turn(values: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    first, second = values.chunk(2, dim=-1)
    return values * cos + torch.cat((-second, first), dim=-1) * sin


class Forward:
    """Runs the halves of a model; holds no weights of its own."""

    def __init__(self, model: Qwen2VLForConditionalGeneration, *, compiled: bool = False) -> None:
        """With `compiled`, blocks are compiled at their first use (tens of seconds)."""
        self._model = model
        self._vision: VisionBlock = vision_block
        self._text: TextBlock = text_block
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

    def language(self, embedded: Tensor, positions: Tensor, segments: Tensor) -> "Read":
        """The language model on `(rows, tokens, width)`.

        Args:
            embedded: what comes in.
            positions: `(3, rows, tokens)`.
            segments: `(rows, tokens)`; each token sees those before it in its own segment and
                in segment 0.
        """
        text = self._model.model.language_model
        cos, sin = text.rotary_emb(embedded, positions)
        cos, sin = cos[:, None], sin[:, None]
        if torch.is_autocast_enabled("cpu"):
            cos, sin = cos.bfloat16(), sin.bfloat16()
        hidden, hide = embedded, _mask(segments)
        states, attention = [], []
        for layer in text.layers:
            hidden, weights = self._text(layer, hidden, cos, sin, hide)
            states.append(hidden)
            attention.append(weights)
        return Read(text.norm(hidden), states, attention)


@dataclass(frozen=True)
class Read:
    """What the language model made of rows of tokens.

    Attributes:
        last: normalised hidden states `(rows, tokens, width)` in front of the head.
        states: those after each layer, not normalised.
        attention: of each layer's first head `(rows, tokens, tokens)`.
    """

    last: Tensor
    states: list[Tensor]
    attention: list[Tensor]


def _mask(segments: Tensor) -> Tensor:
    """Minus a lot where a token must not look, `(rows, 1, tokens, tokens)`."""
    count = segments.shape[1]
    before = torch.ones(count, count, dtype=torch.bool, device=segments.device).tril()
    seen, seeing = segments[:, None, None, :], segments[:, None, :, None]
    return torch.where(before & ((seen == 0) | (seen == seeing)), 0.0, -1e4)


def _places(grid: tuple[int, int]) -> Tensor:
    """Row and column of each patch `(patches, 2)`, in merge order."""
    axes = torch.meshgrid(torch.arange(grid[0] * 2), torch.arange(grid[1] * 2), indexing="ij")
    shape = (grid[0], 2, grid[1], 2)
    return torch.stack([axis.reshape(shape).transpose(1, 2).flatten() for axis in axes], dim=-1)
