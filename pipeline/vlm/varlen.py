"""Varlen: on a GPU, a tower's attention within pictures of many sizes in one call, none padded.

Elsewhere the library calls scaled dot-product attention once a picture, or a window of one.
"""

from importlib.util import find_spec
from typing import Any, Final

import torch
from torch import Tensor, nn
from transformers import AttentionInterface

VARLEN: Final = "reelpage_flash_varlen"
"""What the library knows it by; by "flash" in it that it takes the places where pictures begin."""
APART: Final = "sdpa"
_HALVES: Final = (torch.bfloat16, torch.float16)  # what the kernel takes


def tower_attention(device: str, dtype: torch.dtype) -> str:
    """The kind of attention for a tower on a device."""
    has_kernel = find_spec("torch.nn.attention.varlen") is not None  # torch 2.10 and newer
    return VARLEN if has_kernel and device.startswith("cuda") and dtype in _HALVES else APART


def attend(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    scaling: float,
    cu_seq_lens_q: Tensor,
    max_length_q: int | Tensor,
    **_: Any,  # noqa: ANN401 - what the library tells other implementations
) -> tuple[Tensor, None]:
    """As the library calls it: `(1, heads, patches, width)` in, `(1, patches, heads, width)` out.

    Args:
        module: the layer.
        query: of all pictures behind each other.
        key: the same.
        value: the same.
        attention_mask: none.
        scaling: of the scores.
        cu_seq_lens_q: where each picture begins, and the end, `(pictures + 1,)`.
        max_length_q: patches of the largest.
    """
    from torch.nn.attention.varlen import varlen_attn

    begins, most = cu_seq_lens_q.to(torch.int32), int(max_length_q)
    attended = varlen_attn(
        _flat(query), _flat(key), _flat(value), begins, begins, most, most, scale=scaling
    )
    assert isinstance(attended, Tensor)
    return attended[None], None


def _flat(states: Tensor) -> Tensor:
    """`(patches, heads, width)`, as the kernel takes them."""
    return states[0].transpose(0, 1).contiguous()


AttentionInterface.register(VARLEN, attend)
