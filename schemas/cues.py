"""Cues: subtitles that are pictures, as an Arrow IPC stream behind the frames of their shard."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import pyarrow as pa

_BOX: Final = ("x0", "y0", "x1", "y1")

CUES: Final = pa.schema(
    [
        pa.field("start_us", pa.int64(), nullable=False),
        pa.field("end_us", pa.int64(), nullable=False),
        *(pa.field(name, pa.float64(), nullable=False) for name in _BOX),
        pa.field("language", pa.string()),
        pa.field("image", pa.binary(), nullable=False),
    ]
)
"""Columns of such pictures, see `CuePicture`."""


@dataclass(frozen=True)
class CuePicture:
    """A subtitle of a video that is a picture.

    Attributes:
        start_us: when it appears, microseconds from the container's start.
        end_us: when it is gone, exclusive.
        box: x0, y0, x1, y1 of what is visible of it, as shares of the video's width and height.
        language: of its track, as the container says it.
        image: dark letters on white, a PNG with a margin.
    """

    start_us: int
    end_us: int
    box: tuple[float, float, float, float]
    language: str | None
    image: bytes


def write_cues(sink: pa.NativeFile, cues: Iterable[CuePicture]) -> None:
    """Write a stream of pictures."""
    rows = [vars(one) | dict(zip(_BOX, one.box, strict=True)) for one in cues]
    with pa.ipc.new_stream(sink, CUES) as writer:
        writer.write_batch(pa.RecordBatch.from_pylist(rows, schema=CUES))


def read_cues(file: pa.NativeFile) -> tuple[CuePicture, ...]:
    """What `write_cues` has written where a file stands.

    Raises:
        ValueError: it is something else.
    """
    with pa.ipc.open_stream(file) as reader:
        table = reader.read_all()
    if not set(CUES.names) <= set(table.column_names):
        message = "the pictures of subtitles have other columns"
        raise ValueError(message)
    table = table.select(CUES.names).cast(CUES)  # a newer writer may say more
    table.validate(full=True)
    return tuple(
        CuePicture(
            row["start_us"],
            row["end_us"],
            (row["x0"], row["y0"], row["x1"], row["y1"]),
            row["language"],
            row["image"],
        )
        for row in table.to_pylist()
    )
