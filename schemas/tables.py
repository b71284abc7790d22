"""The tables of a lake as Arrow schemas, version 1.

One row a unit; flat scalars; times as int64 microseconds beside a double in seconds; the model's
name and revision are values of columns, never part of a name. Types are those that Delta keeps as
they are. May change: nullable columns may be added (bump `LAKE_VERSION` only where an older
reader would be wrong). Never: a rename, another type. `frozen/tables.v1.json` holds a copy.

Keys, unique in every lake:
    media      media_id, sampling
    segments   media_id, sampling, segment_no
    frames     media_id, sampling, frame_no
    pages      media_id, sampling, page_no
    answers    media_id, sampling, unit, unit_no, prompt_id, model_revision
    embeddings media_id, sampling, unit, unit_no, model_revision
    failures   input_id, unit_no, recipe, attempt
    runs       run_id
"""

from collections.abc import Mapping
from typing import Final

import pyarrow as pa

LAKE_VERSION: Final = 2
"""Of the whole lake: its tables are those of version 1, its markers and records are not."""

_TIMESTAMP: Final = pa.timestamp("us", tz="UTC")

_MEDIUM: Final = [
    ("media_id", pa.string()),  # sha256 of the content, hex
    ("sampling", pa.string()),  # how frames are chosen, sized and decoded: "rate=1 ... decoding=5"
    ("uri", pa.string()),
]
_PICTURE: Final = [
    ("width", pa.int32()),  # pixels, as the model saw it
    ("height", pa.int32()),
    ("phash", pa.int64()),  # perceptual hash: near-identical pictures differ in few bits
    ("is_blank", pa.bool_()),
    ("shard", pa.string()),  # file below the lake's folder that holds the picture
    ("shard_row", pa.int32()),
]
_MODEL: Final = [
    ("model", pa.string()),
    ("model_revision", pa.string()),
]

MEDIA: Final = pa.schema(
    [
        *_MEDIUM,
        ("name", pa.string()),
        ("kind", pa.string()),  # video, document, image
        ("size_bytes", pa.int64()),
        ("container", pa.string()),
        ("codec", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("rotation", pa.int32()),
        ("duration_us", pa.int64()),
        ("start_us", pa.int64()),
        ("fps_num", pa.int64()),
        ("fps_den", pa.int64()),
        ("segments", pa.int64()),
        ("frames", pa.int64()),
        ("pages", pa.int64()),
        ("failed_pages", pa.int64()),
        ("dropped_frames", pa.int64()),  # that could be decoded and had no time of their own
        ("warnings", pa.list_(pa.string())),  # "code: detail": doubtful, or not read
        ("subtitle_tracks", pa.int32()),
        ("run_id", pa.string()),
        ("indexed_at", _TIMESTAMP),
        ("stream", pa.string()),  # of a chunk of a live stream, else null, as the two below
        ("chunk_no", pa.int64()),
        ("recorded_at", _TIMESTAMP),  # of t_us 0; a frame's time is recorded_at + t_us
    ]
)

SEGMENTS: Final = pa.schema(
    [
        *_MEDIUM,
        ("segment_no", pa.int64()),
        ("start_us", pa.int64()),
        ("end_us", pa.int64()),
        ("start_s", pa.float64()),
        ("end_s", pa.float64()),
        ("frames", pa.int64()),
        ("subtitles", pa.string()),
        ("run_id", pa.string()),
    ]
)

FRAMES: Final = pa.schema(
    [
        *_MEDIUM,
        ("segment_no", pa.int64()),
        ("frame_no", pa.int64()),
        ("t_us", pa.int64()),
        ("t_s", pa.float64()),
        ("pts", pa.int64()),
        ("time_base_num", pa.int32()),
        ("time_base_den", pa.int32()),
        ("is_key", pa.bool_()),
        *_PICTURE,
        ("run_id", pa.string()),
    ]
)

PAGES: Final = pa.schema(
    [
        *_MEDIUM,
        ("page_no", pa.int32()),
        ("width_pt", pa.float64()),
        ("height_pt", pa.float64()),
        ("rotation", pa.int32()),
        ("text", pa.string()),  # the document's own text layer
        *_PICTURE,
        ("run_id", pa.string()),
    ]
)

ANSWERS: Final = pa.schema(
    [
        *_MEDIUM,
        ("kind", pa.string()),
        ("unit", pa.string()),  # frame, page, segment
        ("unit_no", pa.int64()),  # frame_no, page_no or segment_no
        ("t_us", pa.int64()),  # of a frame; of the first frame of a segment's clip
        ("t_s", pa.float64()),
        ("task", pa.string()),
        ("prompt_id", pa.string()),
        ("prompt", pa.string()),
        ("answer", pa.string()),
        *_MODEL,
        ("visual_tokens", pa.int32()),
        ("prompt_tokens", pa.int32()),
        ("output_tokens", pa.int32()),
        ("finish_reason", pa.string()),  # stop, length, repetition, blank
        ("logprob", pa.float64()),  # mean of the chosen tokens' log probabilities
        ("latency_us", pa.int64()),
        ("run_id", pa.string()),
        ("start_us", pa.int64()),  # of a segment, else null ...
        ("end_us", pa.int64()),  # ... as its end, exclusive
        ("same_as", pa.int64()),  # unit_no of the frame whose answer it is, where none was asked
    ]
)

LINES: Final = pa.schema(
    [
        *_MEDIUM,
        ("kind", pa.string()),
        ("unit", pa.string()),  # page, segment
        ("unit_no", pa.int64()),  # page_no or segment_no
        ("line_no", pa.int64()),  # in reading order; in a segment by the time of appearing
        ("source", pa.string()),  # pdf, subtitle, recognised
        ("start_us", pa.int64()),  # of a segment's line: when it appears in it ...
        ("end_us", pa.int64()),  # ... and is gone, exclusive; lines_joined joins segments
        ("x0", pa.int32()),  # pixels of the original; of a PDF, of the page as it is kept; of a
        ("y0", pa.int32()),  # subtitle that is a picture, where that stands on the video
        ("x1", pa.int32()),
        ("y1", pa.int32()),
        ("text", pa.string()),
        ("confidence", pa.float32()),  # 0 to 1, of what was recognised
        ("language", pa.string()),  # as the medium says it, else where the script does
        ("script", pa.string()),  # ISO 15924, such as Latn or Hani
        *_MODEL,
        ("run_id", pa.string()),
    ]
)

EMBEDDINGS: Final = pa.schema(
    [
        *_MEDIUM,
        ("unit", pa.string()),
        ("unit_no", pa.int64()),
        *_MODEL,
        ("dim", pa.int32()),
        ("embedding", pa.list_(pa.float32())),
        ("run_id", pa.string()),
    ]
)

FAILURES: Final = pa.schema(
    [
        ("input_id", pa.string()),  # media_id, or sha256 of the address where nothing was readable
        ("uri", pa.string()),
        ("unit", pa.string()),  # media, page, range
        ("unit_no", pa.int64()),  # page_no; first segment of a range; 0 for the whole medium
        ("recipe", pa.string()),  # identity of sampling, model and tasks
        ("stage", pa.string()),  # consume, decode, encode, generate, land
        ("code", pa.string()),  # a key of schemas.errors.CODES
        ("message", pa.string()),
        ("attempt", pa.int64()),
        ("size_bytes", pa.int64()),
        ("run_id", pa.string()),
        ("failed_at", _TIMESTAMP),
        ("sampling", pa.string()),  # as in `media`; null where no recipe was known
    ]
)

RUNS: Final = pa.schema(
    [
        ("run_id", pa.string()),
        ("started_at", _TIMESTAMP),
        ("finished_at", _TIMESTAMP),
        ("version", pa.string()),
        ("command", pa.string()),
        *_MODEL,
        ("sampling", pa.string()),
        ("tasks", pa.string()),
        ("inputs", pa.int64()),
        ("indexed", pa.int64()),
        ("skipped", pa.int64()),
        ("failed", pa.int64()),
        ("ignored", pa.string()),  # JSON: files in folders that are no inputs, by suffix
        ("visual_tokens", pa.int64()),
        ("output_tokens", pa.int64()),
        ("peak_rss_bytes", pa.int64()),
        ("exit_code", pa.int32()),
    ]
)

TABLES: Final[Mapping[str, pa.Schema]] = {
    "media": MEDIA,
    "segments": SEGMENTS,
    "frames": FRAMES,
    "pages": PAGES,
    "lines": LINES,
    "answers": ANSWERS,
    "embeddings": EMBEDDINGS,
    "failures": FAILURES,
    "runs": RUNS,
}

KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    "media": ("media_id", "sampling"),
    "segments": ("media_id", "sampling", "segment_no"),
    "frames": ("media_id", "sampling", "frame_no"),
    "pages": ("media_id", "sampling", "page_no"),
    "lines": (
        *("media_id", "sampling", "unit", "unit_no"),
        *("line_no", "source", "model_revision"),
    ),
    "answers": ("media_id", "sampling", "unit", "unit_no", "prompt_id", "model_revision"),
    "embeddings": ("media_id", "sampling", "unit", "unit_no", "model_revision"),
    "failures": ("input_id", "unit_no", "recipe", "attempt"),
    "runs": ("run_id",),
}
