"""The tower's attention on a GPU, with the kernel's arithmetic done by torch on a CPU."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from pipeline.encode import Encoder
from pipeline.generate import Generator, Prompt, WorkItem
from pipeline.vlm import checkpoint as loading
from pipeline.vlm.clip import Clip, Item
from pipeline.vlm.device import download, upload
from pipeline.vlm.varlen import APART, VARLEN, tower_attention
from schemas.features import Features


def kernel(
    query: Tensor, key: Tensor, value: Tensor, begins: Tensor, ends: Tensor, most: int, same: int,
    *, scale: float,
) -> Tensor:  # fmt: skip
    """As `torch.nn.attention.varlen.varlen_attn` says: `(patches, heads, width)` in and out."""
    assert begins.dtype == torch.int32
    assert begins is ends
    assert most == same == int((begins[1:] - begins[:-1]).max())
    out = torch.empty_like(query)
    for start, stop in zip(begins[:-1].tolist(), begins[1:].tolist(), strict=True):
        some = (one[start:stop].transpose(0, 1)[None] for one in (query, key, value))
        attended = functional.scaled_dot_product_attention(*some, scale=scale)
        out[start:stop] = attended[0].transpose(0, 1)
    return out


def test_the_kind_is_chosen_by_the_device() -> None:
    assert tower_attention("cuda:1", torch.bfloat16) == VARLEN
    assert tower_attention("cuda", torch.float32) == APART
    assert tower_attention("cpu", torch.bfloat16) == APART


def test_pictures_of_many_sizes_in_one_call(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    noise = np.random.default_rng(3)
    sizes = [(56, 84), (112, 56), (84, 84)]
    items: list[Item] = [noise.integers(0, 256, (*size, 3), np.uint8) for size in sizes]
    items.append(Clip(noise.integers(0, 256, (4, 56, 84, 3), np.uint8), 2.0))
    apart = Encoder(checkpoint).encode(items)
    monkeypatch.setattr(loading, "tower_attention", lambda *_: VARLEN)
    monkeypatch.setattr("torch.nn.attention.varlen.varlen_attn", kernel)
    for one, other in zip(Encoder(checkpoint).encode(items), apart, strict=True):
        np.testing.assert_allclose(one.tokens, other.tokens, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_features_travel_in_the_type_that_computed_them(
    checkpoint: Path, dtype: torch.dtype
) -> None:
    picture = np.random.default_rng(4).integers(0, 256, (84, 84, 3), np.uint8)
    (made,) = Encoder(checkpoint, dtype=dtype).encode([picture])
    assert made.tokens.dtype.itemsize == dtype.itemsize
    given = Features.from_ipc(made.to_ipc())
    there = upload(given.tokens.copy(), "cpu")
    assert there.dtype == dtype
    np.testing.assert_array_equal(download(there), made.tokens)
    (exact,) = Encoder(checkpoint).encode([picture])
    difference = (there.float() - upload(exact.tokens, "cpu")).abs().mean()
    assert difference < 0.05 * upload(exact.tokens, "cpu").abs().mean()
    item = WorkItem([given], [Prompt("What is this?", 4)])
    ((answer,),) = Generator(checkpoint, dtype=dtype).generate([item])
    assert len(answer.tokens) > 0
