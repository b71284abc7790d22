"""M-RoPE positions: worked examples from the papers' rule, and what holds for all prompts."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import Qwen2VLConfig
from transformers.models.qwen2_vl.modeling_qwen2_vl import Qwen2VLModel

from pipeline.vlm.positions import Span, VisionBlock, rope_positions, spans_of
from schemas.errors import InputError

CLIP = VisionBlock(2, 4, 4, 1.0)
GRIDS = st.tuples(st.integers(1, 6), st.integers(1, 5), st.integers(1, 5))
SECONDS = st.floats(0.05, 10)


@st.composite
def blocks(draw: st.DrawFn, *, video: bool = True) -> VisionBlock:
    t, h, w = draw(GRIDS)
    if video and draw(st.booleans()):
        return VisionBlock(t, 2 * h, 2 * w, draw(SECONDS))
    return VisionBlock(1, 2 * h, 2 * w)


PROMPTS = st.lists(st.one_of(st.integers(1, 9), blocks()), min_size=1, max_size=6)


def table(positions: np.ndarray) -> list[list[int]]:
    return [axis.tolist() for axis in positions]


def test_a_clip_between_texts_in_qwen2_vl() -> None:
    positions, following = rope_positions([3, CLIP, 3])
    assert table(positions) == [
        [0, 1, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 6, 7],
        [0, 1, 2, 3, 3, 4, 4, 3, 3, 4, 4, 5, 6, 7],
        [0, 1, 2, 3, 4, 3, 4, 3, 4, 3, 4, 5, 6, 7],
    ]
    assert following == 8
    assert rope_positions([3, VisionBlock(3, 4, 4, 1.0), 3])[0][0, -3:].tolist() == [6, 7, 8]


def test_a_clip_between_texts_in_qwen2_5_vl() -> None:
    positions, following = rope_positions([3, CLIP, 3], tokens_per_second=2)
    assert positions[0].tolist() == [0, 1, 2, 3, 3, 3, 3, 5, 5, 5, 5, 6, 7, 8]
    assert positions[2].tolist() == [0, 1, 2, 3, 4, 3, 4, 3, 4, 3, 4, 6, 7, 8]
    assert following == 9


@pytest.mark.parametrize(
    ("rate", "times", "after"),
    [(None, [8, 9, 10, 11], [12, 13, 14]), (2, [8, 9, 11, 12], [13, 14, 15])],
)
def test_an_image_and_a_clip_of_a_fraction_of_a_second(
    rate: float | None, times: list[int], after: list[int]
) -> None:
    spans: list[Span] = [2, VisionBlock(1, 4, 6), 3, VisionBlock(4, 4, 4, 0.8), 3]
    positions, following = rope_positions(spans, tokens_per_second=rate)
    t, h, w = table(positions)
    assert t == [0, 1, *[2] * 6, 5, 6, 7, *np.repeat(times, 4), *after]
    assert h == [0, 1, 2, 2, 2, 3, 3, 3, 5, 6, 7, *[8, 8, 9, 9] * 4, *after]
    assert w == [0, 1, 2, 3, 4, 2, 3, 4, 5, 6, 7, *[8, 9] * 8, *after]
    assert following == after[-1] + 1


@pytest.mark.parametrize(
    ("rate", "seconds", "first", "following"),
    [(None, 1.0, 388, 394), (2, 1.0, 771, 777), (2, 4.6875, 3595, 3601)],
)
def test_a_long_clip(rate: float | None, seconds: float, first: int, following: int) -> None:
    spans: list[Span] = [4, VisionBlock(384, 12, 20, seconds), 6]
    positions, given_following = rope_positions(spans, tokens_per_second=rate)
    assert positions.shape == (3, 23_050)
    assert positions[:, -6].tolist() == [first] * 3
    assert given_following == following


@given(PROMPTS, st.sampled_from([None, 2.0]))
def test_what_follows_lies_after_everything_before(spans: list[Span], rate: float | None) -> None:
    highest = -1
    for count in range(1, len(spans) + 1):
        positions, following = rope_positions(spans[:count], tokens_per_second=rate)
        last = spans[count - 1]
        tokens = last if isinstance(last, int) else last.tokens()
        assert positions[:, -tokens:].min() == highest + 1
        highest = int(positions.max())
        assert following == highest + 1


@given(PROMPTS)
def test_two_grids_a_second_equal_the_family_without_time(spans: list[Span]) -> None:
    timed = [
        VisionBlock(one.t, one.h, one.w, 0.5) if isinstance(one, VisionBlock) else one
        for one in spans
    ]
    with_time, without = rope_positions(timed, tokens_per_second=2), rope_positions(timed)
    assert np.array_equal(with_time[0], without[0])
    assert with_time[1] == without[1]


@given(st.lists(st.one_of(st.integers(1, 9), blocks(video=False)), min_size=1, max_size=5))
def test_images_are_where_the_library_puts_them(spans: list[Span]) -> None:
    """For images alone the library's positions are right."""
    images = [one for one in spans if isinstance(one, VisionBlock)]
    spaced = [one for pair in zip(spans, [1] * len(spans), strict=True) for one in pair]
    kinds = np.concatenate(
        [np.zeros(one) if isinstance(one, int) else np.ones(one.tokens()) for one in spaced]
    )
    with torch.device("meta"):
        model = Qwen2VLModel(Qwen2VLConfig(**SMALL))
    expected, delta = model.get_rope_index(
        torch.zeros((1, len(kinds)), dtype=torch.long),
        torch.from_numpy(kinds).long()[None],
        image_grid_thw=torch.tensor([[one.t, one.h, one.w] for one in images]) if images else None,
    )
    positions, following = rope_positions(spaced)
    assert torch.equal(expected[:, 0], torch.from_numpy(positions))
    assert following == len(kinds) + int(delta)


SMALL = {
    "text_config": {
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "intermediate_size": 16,
        "vocab_size": 8,
        "rope_parameters": {"rope_type": "default", "mrope_section": [1, 1, 2]},
    },
    "vision_config": {"depth": 1, "embed_dim": 16, "num_heads": 2, "hidden_size": 16},
}


@given(PROMPTS)
def test_spans_are_found_in_token_ids(spans: list[Span]) -> None:
    image, video = 7, 8
    ids: list[int] = []
    joined: list[Span] = []
    for one in spans:
        if isinstance(one, int):
            ids += [1] * one
            both = joined and isinstance(joined[-1], int)
            joined = [*joined[:-1], joined[-1] + one] if both else [*joined, one]
        else:
            ids += [image if one.seconds_per_grid is None else video] * one.tokens()
            joined.append(one)
    found = [one for one in spans if isinstance(one, VisionBlock)]
    assert spans_of(ids, found, (image, video)) == joined


@pytest.mark.parametrize(
    ("ids", "found"),
    [
        ([1, 7, 7, 1], [VisionBlock(1, 2, 6)]),
        ([1, 7, 7, 1], [VisionBlock(1, 2, 2)]),
        ([1, 7, 8, 1], [VisionBlock(1, 2, 4)]),
        ([1, 7, 7, 1], [VisionBlock(1, 2, 4), VisionBlock(1, 2, 4)]),
        ([7], []),
    ],
)
def test_pads_that_fit_no_block_are_refused(ids: list[int], found: list[VisionBlock]) -> None:
    with pytest.raises(InputError):
        spans_of(ids, found, (7, 8))
