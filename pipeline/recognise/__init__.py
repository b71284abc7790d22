"""Recognise: kept pictures to lines of text, each with its place and, in a video, its time."""

from pipeline.recognise.engine import Recogniser
from pipeline.recognise.eyes import Read, TextReader
from pipeline.recognise.lines import Line, ShardText, is_readable, shard_text
from pipeline.recognise.models import MODEL, Listed, fetched, further, revision
from pipeline.recognise.script import language_of, script_of

__all__ = [
    "MODEL",
    "Line",
    "Listed",
    "Read",
    "Recogniser",
    "ShardText",
    "TextReader",
    "fetched",
    "further",
    "is_readable",
    "language_of",
    "revision",
    "script_of",
    "shard_text",
]
