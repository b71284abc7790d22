"""Attention: of one forward over tokens of many rows, as their layout says.

Rows that go on with one prefix attend to it in one product, and none has a copy of it. If the
prefix is short, all have one.
"""

from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import AttentionInterface

from pipeline.vlm.layout import Layout

PACKED: Final = "reelpage_packed"
"""What the library knows it by."""


def attend(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    scaling: float,
    layout: Layout,
    **_: Any,  # noqa: ANN401 - what the library tells other implementations
) -> tuple[Tensor, None]:
    """As the library calls it: `(1, heads, tokens, width)` in, `(1, tokens, heads, width)` out."""
    layer: Any = module.layer_idx
    going, own = len(layout.hidden), len(layout.at[0])
    layout.cells.write(layer, layout.at, key[0, :, :own], value[0, :, :own])
    for prefix, span in zip(layout.reading, layout.prefixes, strict=True):
        keys, values = prefix.cells
        keys[layer], values[layer] = key[0, :, span], value[0, :, span]
    parts = []
    if going:
        parts.append(_going(layout, layer, query[0, :, :going].transpose(0, 1), scaling))
    for (prefix, seen), span in zip(layout.joining, layout.suffixes, strict=True):
        keys, values = prefix.cells
        parts.append(
            _read(
                query[:, :, span],
                torch.cat([keys[None, layer], key[:, :, span]], dim=2),
                torch.cat([values[None, layer], value[:, :, span]], dim=2),
                scaling,
                seen,
            )
        )
    for span in layout.prefixes:
        parts.append(_read(query[:, :, span], key[:, :, span], value[:, :, span], scaling))
    return torch.cat(parts)[None], None


AttentionInterface.register(PACKED, attend)


def _read(
    query: Tensor, keys: Tensor, values: Tensor, scaling: float, seen: Tensor | None = None
) -> Tensor:
    """Attention to what is seen, or to what stands before; `(tokens, heads, width)` out.

    `(1, heads, tokens, width)` in; keys and values may have fewer heads.
    """
    attended = functional.scaled_dot_product_attention(
        query, keys, values, seen, is_causal=seen is None, scale=scaling, enable_gqa=True
    )
    return attended[0].transpose(0, 1)


def _going(layout: Layout, layer: int, query: Tensor, scaling: float) -> Tensor:
    """Attention of rows that go on, to their prefixes and cells; `(rows, heads, width)` both."""
    rows, heads, width = query.shape
    cells = layout.hidden.shape[-1]
    keys = layout.cells.keys[layer, :rows, :, :cells]
    values = layout.cells.values[layer, :rows, :, :cells]
    query = query.reshape(rows, keys.shape[1], -1, width)
    scores = query @ keys.mT + layout.hidden
    if not layout.groups:
        return (_weights(scores, values, scaling) @ values).view(rows, heads, width)
    order, back = layout.order, layout.back
    attended, weights = _prefixes(layout, layer, query[order], scores[order], scaling)
    return (attended[back] + weights[back] @ values).view(rows, heads, width)


def _prefixes(
    layout: Layout, layer: int, query: Tensor, own: Tensor, scaling: float
) -> tuple[Tensor, Tensor]:
    """Attention to prefixes, and what weight it leaves to the own cells, in the groups' order.

    Args:
        layout: of the forward.
        layer: number of the layer.
        query: `(rows, key heads, heads a key head, width)`.
        own: scores of the rows' own cells, `(rows, key heads, heads a key head, cells)`.
        scaling: of all scores.

    Returns:
        What is attended to, of the form of `query`, and weights, of the form of `own`.
    """
    rows, heads, each, _ = query.shape
    query, own = (some.transpose(0, 1).flatten(1, 2) for some in (query, own))
    attended, weights, start = [], [], 0
    for keys, values, count in layout.groups:
        end, length = start + count * each, keys.shape[2]
        scores = torch.cat([query[:, start:end] @ keys[layer].mT, own[:, start:end]], dim=-1)
        weight = _weights(scores, values, scaling)
        attended.append(weight[..., :length] @ values[layer])
        weights.append(weight[..., length:])
        start = end
    first, second = (
        torch.cat(some, dim=1).view(heads, rows, each, -1).transpose(0, 1)
        for some in (attended, weights)
    )
    return first, second


def _weights(scores: Tensor, values: Tensor, scaling: float) -> Tensor:
    """Weights of an attention; its scores, which nobody else has, may be changed in place."""
    return scores.float().mul_(scaling).softmax(-1).to(values.dtype)
