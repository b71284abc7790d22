"""Lines: of a shard's pages, frames and subtitles, of a video with the interval of each."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from typing import Any, Final, Literal

import numpy as np

from pipeline.recognise.eyes import Eyes, Picture, Pixels, TextReader
from schemas.shards import Shard

_BLOCK: Final = 16  # pixels a side, in which a change of the picture is looked for
_CHANGED: Final = 6.0  # of 255: mean difference of a block
_OVERLAP: Final = 0.5
_ALIKE: Final = 0.8  # two readings of one line differ by little


@dataclass(frozen=True)
class Line:
    """A line of text of a medium.

    Attributes:
        unit: "page" or "segment".
        unit_no: number of the page, from 1, or of the segment, from 0.
        line_no: from 0, in reading order; in a segment by the time at which lines appear.
        source: "pdf" for a page's own text, "subtitle", or "recognised".
        text: what stands there.
        box: x0, y0, x1, y1 as shares of the picture's width and height, of a subtitle that is a
            picture of the video's; None of other subtitles.
        start_us: when it appears in the segment, microseconds; None of pages.
        end_us: when it is gone, exclusive.
        confidence: of the recogniser, 0 to 1; None of what needs none.
        language: where the medium says one.
    """

    unit: Literal["page", "segment"]
    unit_no: int
    line_no: int
    source: Literal["pdf", "subtitle", "recognised"]
    text: str
    box: tuple[float, float, float, float] | None = None
    start_us: int | None = None
    end_us: int | None = None
    confidence: float | None = None
    language: str | None = None


@dataclass(frozen=True)
class ShardText:
    """The text of a shard.

    Attributes:
        lines: all that could be read.
        unread: pictures on which most of what looks like text could not be read.
        unread_cues: subtitles that are pictures, on which nothing could be read.
    """

    lines: list[Line]
    unread: int = 0
    unread_cues: int = 0


def is_readable(shard: Shard) -> bool:
    """Whether a shard has a picture that a recogniser has to read."""
    rows = shard.rows.drop_columns("image").to_pylist()
    return bool(shard.cue_pictures) or any(
        not row["is_blank"] and not row.get("lines") for row in rows
    )


def shard_text(shard: Shard, pixels: Pixels, reader: TextReader) -> ShardText:
    """All text of a shard: a page with a text layer is not read again.

    Args:
        shard: pages or frames.
        pixels: decodes a picture of it.
        reader: reads pictures.

    Raises:
        InputError, SetupError: what the reader raises.
    """
    rows = shard.rows.to_pylist()
    eyes = Eyes(pixels, reader)
    if "page_no" in shard.rows.schema.names:
        return ShardText(list(_pages(rows, eyes)), eyes.unread)
    drawn = _drawn(shard, eyes)
    subtitles = _numbered([*_subtitles(shard), *(line for line in drawn if line.text)])
    lines = [*subtitles, *_on_screen(shard, rows, eyes)]
    cues = zip(shard.cue_pictures or (), drawn, strict=True)
    unread = sum(not line.text and cue.start_us >= shard.start for cue, line in cues)
    return ShardText(lines, eyes.unread, unread)


def _pages(rows: list[dict[str, Any]], eyes: Eyes) -> Iterator[Line]:
    pictures = (
        None if row["lines"] or row["is_blank"] else eyes.pixels(row["image"]) for row in rows
    )
    for row, seen in eyes.read(zip(rows, pictures, strict=True)):
        number = row["page_no"]
        for line_no, own in enumerate(row["lines"] or ()):
            box = own["x0"], own["y0"], own["x1"], own["y1"]
            yield Line("page", number, line_no, "pdf", own["text"], box)
        for line_no, (box, text, score) in enumerate(seen):
            yield Line("page", number, line_no, "recognised", text, box, confidence=score)


def _subtitles(shard: Shard) -> Iterator[Line]:
    for start, end, text in shard.cues:
        start, end = _within(shard, start, end)
        yield Line("segment", shard.part, 0, "subtitle", text, None, start, end)


def _drawn(shard: Shard, eyes: Eyes) -> list[Line]:
    """Subtitles that are pictures, a line each; without text where nothing can be read."""
    found = []
    pictures = ((cue, eyes.pixels(cue.image)) for cue in shard.cue_pictures or ())
    for cue, seen in eyes.read(pictures):
        text = " ".join(words for _, words, _ in seen)
        start, end = _within(shard, cue.start_us, cue.end_us)
        sure = min((score for *_, score in seen), default=None)
        line = Line("segment", shard.part, 0, "subtitle", text, cue.box, start, end, sure)
        found.append(replace(line, language=cue.language))
    return found


def _within(shard: Shard, start: int, end: int) -> tuple[int, int]:
    """The part of a time that is in a shard; what comes behind a video's end takes none."""
    start = max(start, shard.start)
    return start, max(start, min(end, shard.end))


def _numbered(lines: Iterable[Line]) -> list[Line]:
    """Lines of a segment by the time at which they appear."""
    order = sorted(lines, key=lambda line: line.start_us or 0)
    return [replace(line, line_no=number) for number, line in enumerate(order)]


def _on_screen(shard: Shard, rows: list[dict[str, Any]], eyes: Eyes) -> list[Line]:
    """Lines of frames; one that stays is one line, until the first frame without it."""
    done: list[Line] = []
    standing: list[Line] = []
    for at, seen in eyes.read(_changes(rows, eyes.pixels)):
        now = [
            Line("segment", shard.part, 0, "recognised", text, box, at, at, score)
            for box, text, score in seen
        ]
        gone, standing = _followed(standing, now)
        done += [replace(line, end_us=at) for line in gone]
    done += [replace(line, end_us=shard.end) for line in standing]
    return _numbered(done)


def _changes(rows: list[dict[str, Any]], pixels: Pixels) -> Iterator[tuple[int, Picture | None]]:
    """Times and pictures of the frames that differ from the one before; a blank one is None."""
    before: Picture | None = None
    for row in rows:
        now = None if row["is_blank"] else pixels(row["image"])
        if now is None or before is None or _has_changed(before, now):
            yield row["t_us"], now
            before = now


def _followed(standing: list[Line], seen: list[Line]) -> tuple[list[Line], list[Line]]:
    """Lines that are gone, and those that stand now: the best reading from when they appeared."""
    left, now = list(standing), []
    for line in seen:
        same = next((one for one in left if _is_same(one, line)), None)
        if same is None:
            now.append(line)
            continue
        left.remove(same)
        best = max(same, line, key=lambda one: one.confidence or 0.0)
        now.append(replace(best, start_us=same.start_us))
    return left, now


def _is_same(one: Line, other: Line) -> bool:
    if one.box is None or other.box is None or _overlap(one.box, other.box) < _OVERLAP:
        return False
    return SequenceMatcher(None, one.text, other.text, autojunk=False).ratio() >= _ALIKE


def _overlap(
    one: tuple[float, float, float, float], other: tuple[float, float, float, float]
) -> float:
    """Intersection over union of two boxes."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return width * height / (sum(areas) - width * height)


def _has_changed(before: Picture, now: Picture) -> bool:
    """Whether some part of a picture that may hold text differs from the last one that was read."""
    if before.shape != now.shape:
        return True
    apart = np.abs(before.astype(np.int16) - now).mean(axis=2)
    height, width = (side // _BLOCK * _BLOCK for side in apart.shape)
    if not height or not width:
        return bool(apart.mean() > _CHANGED)
    blocks = apart[:height, :width].reshape(height // _BLOCK, _BLOCK, width // _BLOCK, _BLOCK)
    return bool(blocks.mean(axis=(1, 3)).max() > _CHANGED)
