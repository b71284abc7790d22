"""Shards: the frames of one time range, or some pages, at the size at which people read them.

A shard is Arrow IPC and carries encoded pictures (frames JPEG, pages PNG). What a model sees is
made of these very bytes (`pipeline.decode.picture.model_picture`), in every mode and later run.
"""

import json
from dataclasses import asdict, dataclass, field, fields
from typing import Final, Literal

import pyarrow as pa

from schemas.cues import CuePicture, read_cues, write_cues

SHARD_VERSION: Final = 2
"""2: pictures at the size at which people read them; 1: at that of a model."""

MediaKind = Literal["video", "document", "image"]

_IMAGE_FIELDS: Final = [
    pa.field("width", pa.int32(), nullable=False),
    pa.field("height", pa.int32(), nullable=False),
    pa.field("phash", pa.int64(), nullable=False),
    pa.field("is_blank", pa.bool_(), nullable=False),
    pa.field("image", pa.binary(), nullable=False),
]

_LINE: Final = pa.struct(
    [*((name, pa.float32()) for name in ("x0", "y0", "x1", "y1")), ("text", pa.string())]
)

FRAMES: Final = pa.schema(
    [
        pa.field("frame_no", pa.int64(), nullable=False),
        pa.field("pts", pa.int64(), nullable=False),
        pa.field("time_base_num", pa.int32(), nullable=False),
        pa.field("time_base_den", pa.int32(), nullable=False),
        pa.field("t_us", pa.int64(), nullable=False),
        pa.field("is_key", pa.bool_(), nullable=False),
        *_IMAGE_FIELDS,
    ]
)
"""Columns of a video shard. `frame_no` counts the instants that are sampled, from 0; a frame that
is shown at several has the number of the first. `t_us` is the exact presentation time,
microseconds, from the container's start (`start_us` of `MediaInfo`; docs/times.md);
`pts * time_base_num / time_base_den` is the container's own time in seconds."""

PAGES: Final = pa.schema(
    [
        pa.field("page_no", pa.int32(), nullable=False),
        pa.field("width_pt", pa.float64()),
        pa.field("height_pt", pa.float64()),
        pa.field("rotation", pa.int32(), nullable=False),
        pa.field("text", pa.string(), nullable=False),
        pa.field("lines", pa.list_(_LINE), nullable=False),
        *_IMAGE_FIELDS,
    ]
)
"""Columns of a document or image shard. `page_no` counts from 1, as people do; `text` is the
document's own text layer, and `lines` its lines with their places, as shares of the picture's width
and height from the top left; `rotation` in degrees clockwise, already applied to the image."""


@dataclass(frozen=True)
class MediaInfo:
    """Facts of a medium that hold for all its shards.

    Attributes:
        kind: video, document or image.
        container: format name, such as "mov,mp4" or "pdf" or "png".
        codec: codec of the chosen video stream, or the image's mode, or "".
        width: pixels as displayed (rotation applied); 0 for documents.
        height: pixels as displayed; 0 for documents.
        rotation: degrees clockwise that were applied.
        duration_us: declared duration in microseconds, or None if unknown. Never trusted.
        start_us: the container's start on its own clock, microseconds; where `t_us` is 0.
        fps_num: numerator of the average frame rate, 0 if unknown.
        fps_den: denominator of the average frame rate, 1 if unknown.
        pages: number of pages or images, 0 for video.
        subtitle_tracks: embedded text subtitle tracks.
    """

    kind: MediaKind
    container: str
    codec: str
    width: int
    height: int
    rotation: int = 0
    duration_us: int | None = None
    start_us: int = 0
    fps_num: int = 0
    fps_den: int = 1
    pages: int = 0
    subtitle_tracks: int = 0


@dataclass(frozen=True)
class Budget:
    """Visual tokens that a model is shown at the most, one for each 28 x 28 pixels.

    The published checkpoints take 16,384 a picture, far more than indexing needs. A checkpoint that
    takes less is shown less.

    Attributes:
        frame: of a frame: as many as the family's training had of one of a video's.
        page: of a page or a still: 1,120 x 1,792 pixels, a page at 140 dots an inch.
        clip: of a segment.
    """

    frame: int = 768
    page: int = 2560
    clip: int = 16384


@dataclass(frozen=True)
class Shard:
    """Part `part` of a medium: frames of `[start, end)` microseconds, or pages `[start, end)`.

    Attributes:
        part: parts of a medium count from 0 without gaps; a video's part is its segment.
        start: first microsecond (from the container's start), or first page number.
        end: end of the range, exclusive.
        rows: a record batch of schema `FRAMES` or `PAGES`.
        subtitles: text of the subtitle cues that are shown in this range, one a line.
        cues: these cues: start and end, microseconds, and text.
        cue_pictures: subtitles that are pictures and are shown in this range; None where the
            medium has some and they were not drawn, because nobody was to read them.
        rate: instants a second that `frame_no` counts; None where they have no even distance, and
            in shards of an older reelpage.
        budget: what a model is shown of it.
    """

    part: int
    start: int
    end: int
    rows: pa.RecordBatch
    subtitles: str = ""
    cues: tuple[tuple[int, int, str], ...] = ()
    cue_pictures: tuple[CuePicture, ...] | None = ()
    rate: float | None = None
    budget: Budget = field(default_factory=Budget)

    def to_ipc(self) -> bytes:
        """Return the shard as an Arrow IPC stream; its facts are schema metadata.

        Pictures of subtitles are a second stream behind it, which older readers do not look for;
        one without rows says that they were not drawn.
        """
        facts: dict[str, object] = {
            "version": SHARD_VERSION,
            "part": self.part,
            "start": self.start,
            "end": self.end,
            "subtitles": self.subtitles,
            "cues": self.cues,
            "budget": asdict(self.budget),
            **({} if self.rate is None else {"rate": self.rate}),
        }
        metadata = {b"reelpage.shard": json.dumps(facts).encode()}
        schema = self.rows.schema.with_metadata(metadata)
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, schema) as writer:
            writer.write_batch(self.rows.cast(schema))
        if self.cue_pictures != ():
            write_cues(sink, self.cue_pictures or ())
        return bytes(sink.getvalue())

    @classmethod
    def from_ipc(cls, data: bytes) -> "Shard":
        """Read a shard back; the images stay encoded.

        Raises:
            ValueError: the bytes are no shard of this version.
        """
        file = pa.BufferReader(data)
        with pa.ipc.open_stream(file) as reader:
            facts = json.loads((reader.schema.metadata or {}).get(b"reelpage.shard", b"{}"))
            if facts.pop("version", None) != SHARD_VERSION:
                message = f"not a shard of version {SHARD_VERSION}"
                raise ValueError(message)
            rows = reader.read_all().combine_chunks().to_batches()
            empty = pa.RecordBatch.from_pylist([], schema=reader.schema)
        batch = (rows[0] if rows else empty).replace_schema_metadata(None)
        facts["budget"] = Budget(**facts.pop("budget", {}))
        facts["cues"] = tuple((start, end, text) for start, end, text in facts.pop("cues", ()))
        pictures = () if file.tell() == file.size() else read_cues(file) or None
        known = {one.name for one in fields(cls)}  # those of a newer writer are left out
        facts = {name: value for name, value in facts.items() if name in known}
        return cls(rows=batch, cue_pictures=pictures, **facts)


@dataclass(frozen=True)
class MediaWarning:
    """What of a medium is doubtful or was not read, while the rest of it was.

    Attributes:
        code: a key of `schemas.errors.WARNINGS`.
        detail: one line.
        dropped_frames: frames that were there and are not in the tables.
    """

    code: str
    detail: str
    dropped_frames: int = 0


@dataclass(frozen=True)
class PageFailure:
    """A page that could not be rendered, while the rest of its document could.

    Attributes:
        part: the part that the unit belongs to.
        page_no: page number from 1.
        code: a key of `schemas.errors.CODES`.
        message: one line.
    """

    part: int
    page_no: int
    code: str
    message: str


def info_to_json(info: MediaInfo) -> str:
    """Return the facts as JSON."""
    return json.dumps(asdict(info))


def info_from_json(text: str | bytes) -> MediaInfo:
    """Read facts written by `info_to_json`."""
    return MediaInfo(**json.loads(text))


Decoded = MediaInfo | MediaWarning | Shard | PageFailure
"""What comes of decoding a medium: its facts first, then its parts with the rest between."""
