"""Bitmaps: subtitles that are pictures, parsed by hand: no decoder of C sees these bytes."""

from pipeline.decode.bitmaps.tracks import Pictures, picture_tracks

__all__ = ["Pictures", "picture_tracks"]
