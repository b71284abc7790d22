"""Preprocessing equals the reference's, to the bit, and keeps every size within its rules."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import nn
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import (
    Qwen2VLImageProcessorPil,
)
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import smart_resize as library

from pipeline.vlm.embed import FoldedPatchEmbed
from pipeline.vlm.preprocess import cut, patchify, resize, smart_resize
from schemas.errors import InputError

MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
RANDOM = np.random.default_rng(5)
SIDE = st.integers(1, 6000)


@pytest.mark.parametrize(
    ("height", "width", "least", "most", "expected"),
    [
        (1080, 1920, 4, 16384, (1092, 1932)),
        (1080, 1920, 4, 1280, (728, 1316)),
        (2160, 3840, 4, 16384, (2156, 3836)),
        (3508, 2480, 4, 16384, (3500, 2492)),
        (1754, 1240, 4, 1280, (1176, 840)),
        (20, 20, 4, 16384, (56, 56)),
        (561, 278, 4, 16384, (560, 280)),
        (1, 1, 4, 16384, (56, 56)),
        (3, 22, 4, 16384, (28, 168)),
        (42, 70, 4, 16384, (56, 56)),  # halves round to even
        (13, 2000, 4, 16384, (28, 1988)),
    ],
)
def test_sizes_of_the_published_rule(
    height: int, width: int, least: int, most: int, expected: tuple[int, int]
) -> None:
    given_size = smart_resize(height, width, min_pixels=least * 784, max_pixels=most * 784)
    assert given_size == expected


@given(SIDE, SIDE, st.integers(1, 64), st.integers(256, 16384))
def test_sizes_are_the_librarys_and_within_the_rules(
    height: int, width: int, least: int, most: int
) -> None:
    low, high = least * 784, most * 784
    if max(height, width) > 200 * min(height, width):
        with pytest.raises(InputError) as caught:
            smart_resize(height, width, min_pixels=low, max_pixels=high)
        assert caught.value.code == "aspect_ratio"
        return
    rows, columns = smart_resize(height, width, min_pixels=low, max_pixels=high)
    assert rows % 28 == columns % 28 == 0
    if min(height, width) > 14:  # up to 14 the library rounds a side to 0, qwen-vl-utils to 28
        assert (rows, columns) == library(height, width, 28, low, high)


@pytest.mark.parametrize("size", [(1, 4000), (4000, 1), (201, 1)])
def test_extreme_ratios_are_refused(size: tuple[int, int]) -> None:
    with pytest.raises(InputError, match="200"):
        smart_resize(*size, min_pixels=3136, max_pixels=12845056)


@settings(max_examples=40, deadline=None)
@given(st.integers(15, 400), st.integers(15, 400), st.integers(0, 2**32 - 1))
def test_patches_equal_the_references_to_the_bit(height: int, width: int, seed: int) -> None:
    image = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    most = 64 * 784
    processor = Qwen2VLImageProcessorPil(size={"shortest_edge": 3136, "longest_edge": most})
    expected = processor(images=[Image.fromarray(image)], return_tensors="np")
    rows, columns = smart_resize(height, width, min_pixels=3136, max_pixels=most)
    patches, grid = patchify(resize(image, rows, columns)[None], MEAN, STD)
    assert list(grid) == expected["image_grid_thw"][0].tolist()
    assert patches.dtype == expected["pixel_values"].dtype
    assert np.array_equal(patches, expected["pixel_values"])


@pytest.mark.parametrize("size", [(1, 1), (3, 22), (22, 3), (1, 190)])
def test_tiny_pictures_reach_a_size_that_can_be_cut(size: tuple[int, int]) -> None:
    image = RANDOM.integers(0, 256, (*size, 3), dtype=np.uint8)
    rows, columns = smart_resize(*size, min_pixels=3136, max_pixels=12845056)
    patches, (t, h, w) = patchify(resize(image, rows, columns)[None], MEAN, STD)
    assert patches.shape == (t * h * w, 1176)


def test_a_clip_holds_two_frames_a_patch_and_repeats_an_odd_last_one() -> None:
    frames = RANDOM.integers(0, 256, (3, 28, 56, 3), dtype=np.uint8)
    patches, grid = cut(frames)
    assert grid == (2, 2, 4)
    parts = patches.reshape(2, 8, 3, 2, 14, 14)
    for index, frame in enumerate([*frames, frames[-1]]):
        alone, _ = cut(frame[None], temporal=1)
        assert np.array_equal(parts[index // 2, :, :, index % 2], alone.reshape(8, 3, 14, 14))


@pytest.mark.parametrize("still", [True, False])
def test_folded_embedding_equals_the_convolution_over_normalised_patches(still: bool) -> None:
    torch.manual_seed(2)
    convolution = nn.Conv3d(3, 32, (2, 14, 14), stride=(2, 14, 14), bias=False)
    frames = RANDOM.integers(0, 256, (1 if still else 4, 56, 84, 3), dtype=np.uint8)
    values, _ = patchify(frames, MEAN, STD)
    raw, _ = cut(frames, temporal=1 if still else 2)
    with torch.no_grad():
        expected = convolution(torch.from_numpy(values).view(-1, 3, 2, 14, 14)).flatten(1)
        found = FoldedPatchEmbed(convolution, MEAN, STD)(torch.from_numpy(raw))
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=2e-6)
