"""A segment's frames as a clip: true times, an even rate, and the family's budget."""

from io import BytesIO

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from benchmarks.asking import shard_answers
from pipeline.land.rows import Answer
from pipeline.vlm.clip import (
    FRAME_TOKENS,
    MOST_FRAMES,
    Clip,
    Item,
    clip_tokens,
    even,
    frame_size,
    item_tokens,
)
from schemas.jobs import SEGMENT, Task
from schemas.shards import FRAMES, Shard
from services.model.asking import clip_of
from services.model.wire import ServedModel

SECOND = 1_000_000
LARGEST = 16_384 * 784  # of a still, as the published checkpoints say
TASK = Task("segment-caption", "What happens?", 8, SEGMENT)


def test_even_frames_stay_as_they_are() -> None:
    times = [number * SECOND for number in range(10, 20)]
    assert even(range(10, 20), times, 1.0, 10 * SECOND) == (list(range(10)), 1.0)


def test_a_frame_that_stands_is_shown_for_as_long() -> None:
    """Of a screen that changes at 0, 3 and 4 s, looked at once a second."""
    shown, fps = even([0, 3, 4], [0, 2_950_000, 4 * SECOND], 1.0, 10 * SECOND)
    assert (shown, fps) == ([0, 0, 0, 1, 2], 1.0)


def test_the_rate_is_that_of_the_frames_where_the_video_has_fewer() -> None:
    """Sampled at 100 a second, the video has 25."""
    numbers = range(0, 100, 4)
    assert even(numbers, [n * 10_000 for n in numbers], 100.0, SECOND) == (list(range(25)), 25.0)


def test_shots_are_shown_when_they_begin() -> None:
    """Numbers of scenes are milliseconds."""
    shown, fps = even([0, 3200, 4000], [0, 3_200_000, 4 * SECOND], 1000.0, 10 * SECOND)
    assert (shown, fps) == ([0, 0, 0, 0, 1, 2], pytest.approx(1.25))


def test_a_rate_that_is_not_known_is_measured() -> None:
    shown, fps = even([5, 6, 7], [0, 700_000, 1_400_000], None, 10 * SECOND)
    assert (shown, fps) == ([0, 1, 2], pytest.approx(1 / 0.7))


def test_a_frame_that_is_alone_stands_for_its_segment() -> None:
    assert even([7], [7 * SECOND], 1000.0, 10 * SECOND) == ([0], 0.1)


@given(gaps=st.lists(st.integers(1, 40), min_size=1, max_size=1000))
def test_every_frame_is_shown_in_order_up_to_the_familys_bound(gaps: list[int]) -> None:
    numbers = np.cumsum([0, *gaps]).tolist()
    shown, fps = even(numbers, [n * SECOND // 4 for n in numbers], 4.0, 10 * SECOND)
    assert len(shown) <= MOST_FRAMES
    assert (shown[0], shown[-1], sorted(shown)) == (0, len(numbers) - 1, shown)
    step = min(gaps)
    if -(-numbers[-1] // step) < MOST_FRAMES:
        assert set(shown) == set(range(len(numbers)))
        assert fps == pytest.approx(4 / step)
        for place, index in enumerate(shown):  # it has come by then, and no later one has
            assert numbers[index] <= place * step < [*numbers, 1 << 40][index + 1]


@pytest.mark.parametrize("count", [1, 2, 10, 20, 240, 767, 768])
@pytest.mark.parametrize("size", [(1080, 1920), (480, 640), (2160, 1000)])
def test_a_clip_has_the_tokens_that_the_family_was_trained_with(
    count: int, size: tuple[int, int]
) -> None:
    height, width = frame_size(*size, count, LARGEST)
    assert (height % 28, width % 28) == (0, 0)
    assert clip_tokens(count, height, width) <= 16_384
    least, most = FRAME_TOKENS
    assert height * width // 784 <= most
    if count <= 128:
        assert height * width // 784 >= least


def test_small_frames_grow_to_what_the_family_takes() -> None:
    height, width = frame_size(112, 112, 10, LARGEST)
    assert height * width >= FRAME_TOKENS[0] * 784


def _shard(numbers: list[int], *, blank: bool = False) -> Shard:
    rows = []
    for number in numbers:
        sink = BytesIO()
        Image.new("RGB", (320, 240), (number * 20, 0, 0)).save(sink, format="PNG")
        times = {"pts": number, "time_base_num": 1, "time_base_den": 1, "t_us": number * SECOND}
        picture = {"width": 320, "height": 240, "phash": 0, "is_blank": blank}
        rows.append(
            {"frame_no": number, **times, "is_key": True, **picture, "image": sink.getvalue()}
        )
    batch = pa.RecordBatch.from_pylist(rows, schema=FRAMES)
    return Shard(0, 0, 10 * SECOND, batch, rate=1.0)


def test_the_clip_of_a_shard_has_all_its_frames_at_one_size() -> None:
    whole = Shard.from_ipc(_shard([0, 1, 3]).to_ipc())
    clip = clip_of(whole, 48 * 784)
    assert clip.fps == 1.0
    assert item_tokens(clip) <= 48
    assert clip.frames.shape[0] == 4
    assert clip.frames[:, 0, 0, 0].tolist() == [0, 20, 20, 60]


def test_what_is_blank_or_has_no_frame_is_not_asked() -> None:
    asked: list[Item] = []

    def read(items: list[Item], tasks: list[Task]) -> list[list[Answer]]:
        asked.extend(items)
        return [[Answer(task, "seen", "stop") for task in tasks] for _ in items]

    model = ServedModel("stub", "r", 3136, 48 * 784)
    answers = [
        shard_answers(shard, [TASK], read, model)  # type: ignore[arg-type]
        for shard in (_shard([]), _shard([0, 1], blank=True), _shard([0, 1]))
    ]
    assert [[one.finish_reason for row in given for one in row] for given in answers] == [
        [],
        ["blank"],
        ["stop"],
    ]
    (clip,) = asked
    assert isinstance(clip, Clip)


def test_frames_of_one_instant_have_some_rate() -> None:
    """In a time base finer than a microsecond two frames may have one time."""
    shown, rate = even([0, 1], [5, 5], None, 10)
    assert (shown, rate) == ([0, 1], 1_000_000)
