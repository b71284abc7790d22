"""Recognise: kept pictures to lines of text, each with its place and, in a video, its time."""

from pipeline.recognise.engine import MODEL, Recogniser, revision
from pipeline.recognise.lines import Line, Read, TextReader, shard_lines
from pipeline.recognise.script import script_of

__all__ = [
    "MODEL",
    "Line",
    "Read",
    "Recogniser",
    "TextReader",
    "revision",
    "script_of",
    "shard_lines",
]
