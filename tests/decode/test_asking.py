"""A medium of which only a part is there decodes as the whole does, and asks for no more."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from benchmarks.ranges import Store
from pipeline.decode import DecodePlan, Limits, Sampling, decode
from pipeline.decode.launch import Zygote
from pipeline.decode.listen import Child, DiedError
from schemas.errors import InputError, TransientError
from schemas.shards import Decoded
from services.storage.sparse import BLOCK, SparseFile

SECONDS, RANGE = 300, (10, 14)  # of 30 parts
PLAN = DecodePlan(Sampling("rate", 1.0), first_part=RANGE[0], stop_part=RANGE[1])


@pytest.fixture(scope="module")
def long_videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Noise, so that they are large: the same in three containers, and one that says no times."""
    folder = tmp_path_factory.mktemp("long")
    chance = np.random.default_rng(0)
    pictures = [chance.integers(0, 255, (144, 176, 3), dtype=np.uint8) for _ in range(8)]
    for name in ("a.mp4", "a.mkv", "a.ts"):
        with av.open(folder / name, "w") as container:
            stream = container.add_stream("mpeg4", rate=2, options={"qmin": "2", "qmax": "2"})
            stream.width, stream.height, stream.pix_fmt = 176, 144, "yuv420p"
            stream.codec_context.gop_size = 10
            for number in range(2 * SECONDS):
                frame = av.VideoFrame.from_ndarray(pictures[number % 8], format="rgb24")
                frame.pts, frame.time_base = number, Fraction(1, 2)
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
    return folder


def sparse(path: Path, folder: Path) -> tuple[Store, SparseFile]:
    source = Store(path)
    return source, SparseFile(folder / "medium", len(source.data), source.read)


def decoded(path: Path, file: SparseFile | None = None) -> list[Decoded]:
    return list(decode(path, PLAN, fill=None if file is None else file.fill))


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_a_range_asks_for_its_part_alone(long_videos: Path, tmp_path: Path, name: str) -> None:
    source, file = sparse(long_videos / name, tmp_path)
    assert decoded(file.path, file) == decoded(long_videos / name)
    assert len(source.data) > 15 * BLOCK
    assert source.bytes < len(source.data) / 2, "an eighth, both ends, and what is fetched ahead"
    assert source.requests < 8
    assert file.path.stat().st_size == len(source.data)


def test_what_has_to_be_read_whole_is(long_videos: Path, tmp_path: Path) -> None:
    """Where times may begin anew, all packets are looked at."""
    source, file = sparse(long_videos / "a.ts", tmp_path)
    assert decoded(file.path, file) == decoded(long_videos / "a.ts")
    assert source.bytes == len(source.data)
    assert source.requests < 10, "as it is read in a row"


@pytest.mark.parametrize(
    "error", [InputError("media_changed", "changed"), TransientError("store_failed", "away")]
)
def test_an_error_of_the_store_ends_it(
    long_videos: Path, tmp_path: Path, error: InputError | TransientError
) -> None:
    _, file = sparse(long_videos / "a.mp4", tmp_path)

    def fill(start: int, stop: int) -> tuple[int, int]:
        if start > 4 * BLOCK:
            raise error
        return file.fill(start, stop)

    with pytest.raises(type(error)) as caught:
        list(decode(file.path, PLAN, fill=fill))
    assert caught.value.code == error.code


@pytest.mark.parametrize(
    ("wanted", "times", "is_partial"),
    [
        ((-1, 5), 1, True),
        ((5, 5), 1, True),
        ((0, 1 << 40), 1, True),
        ((0, 5), 100_000, True),
        ((0, 5), 1, False),
    ],
    ids=["before", "nothing", "beyond", "deaf", "whole"],
)
def test_who_asks_for_nonsense_is_ended(
    thief: Zygote, tmp_path: Path, wanted: tuple[int, int], times: int, *, is_partial: bool
) -> None:
    (tmp_path / "whole").write_bytes(bytes(1000))
    _, file = sparse(tmp_path / "whole", tmp_path)
    order = {"act": "ask", "wanted": [wanted], "times": times}
    fill = file.fill if is_partial else None
    with file.path.open("rb") as medium:
        child = Child(file.path, medium.fileno(), order, Limits(), thief, fill)
        with child, pytest.raises(DiedError) as caught:
            list(child.messages())
    assert caught.value.code == "decoder_crashed"
    assert "asked for" in caught.value.reason


# The file


def test_it_fetches_more_the_longer_it_is_read_in_a_row(tmp_path: Path) -> None:
    (tmp_path / "whole").write_bytes(bytes(range(256)) * (40 * BLOCK // 256))
    source, file = sparse(tmp_path / "whole", tmp_path)
    assert file.fill(5 * BLOCK + 7, 5 * BLOCK + 9) == (5 * BLOCK, 6 * BLOCK)
    at = 6 * BLOCK
    asked = []
    while at < file.size:
        first, last = file.fill(at, at + 10)
        assert first <= at
        asked.append((last - first) // BLOCK)
        at = last
    assert asked == [2, *[4] * 8]
    assert file.fill(at - 10, at) == (39 * BLOCK, 40 * BLOCK), "what is there is not fetched again"
    assert source.requests == 10
    file.fill(0, BLOCK)
    assert file.path.read_bytes()[:BLOCK] == source.data[:BLOCK]
    assert file.path.read_bytes()[5 * BLOCK :] == source.data[5 * BLOCK :]
