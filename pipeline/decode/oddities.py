"""Oddities: what is odd about a video's file, and what of it is not read."""

from collections.abc import Iterator

from av.container import InputContainer

from pipeline.decode.bitmaps import picture_tracks
from pipeline.decode.container import moving_pictures
from pipeline.decode.plan import DecodePlan
from pipeline.decode.subtitles import text_tracks
from pipeline.decode.tail import Tail
from schemas.shards import MediaWarning


def oddities(
    container: InputContainer, plan: DecodePlan, tail: Tail, jumps: int, skipped: int
) -> Iterator[MediaWarning]:
    """A warning each.

    Args:
        container: of the video.
        plan: says what is to be read.
        tail: what the end of the file shows.
        jumps: how often its clock begins anew.
        skipped: frames before the first key frame.
    """
    if tail.warning:
        yield tail.warning
    yield from _tracks_left_out(container, plan)
    if jumps:
        detail = f"its clock begins anew {jumps} times; times go on from there"
        yield MediaWarning("clock_jumped", detail)
    if skipped:
        detail = f"{skipped} frames come before the first key frame"
        yield MediaWarning("frames_dropped", detail, skipped)


def _tracks_left_out(container: InputContainer, plan: DecodePlan) -> Iterator[MediaWarning]:
    """Tracks that are seen in a player and are not read."""
    if more := len(moving_pictures(container)) - 1:
        tracks = "1 more video track" if more == 1 else f"{more} more video tracks"
        yield MediaWarning("not_read", f"{tracks}; the main one is read")
    pictures = len(picture_tracks(container))
    if others := len(container.streams.subtitles) - len(text_tracks(container)) - pictures:
        yield MediaWarning("not_read", f"{_tracks(others)} of a kind that is not read")
    if pictures and not plan.subtitle_pictures:
        detail = f"{_tracks(pictures)} of pictures, which the task text reads"
        yield MediaWarning("not_read", detail)


def _tracks(count: int) -> str:
    return "1 subtitle track" if count == 1 else f"{count} subtitle tracks"
