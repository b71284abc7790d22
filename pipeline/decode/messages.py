"""Messages: what the child tells its parent over the pipe, as kind, length and payload."""

import json
import struct
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import BinaryIO, Final

import pyarrow as pa

from pipeline.decode.confine import Confinement
from schemas.errors import WARNINGS, InputError
from schemas.shards import (
    FRAMES,
    PAGES,
    MediaInfo,
    MediaWarning,
    PageFailure,
    Shard,
    info_from_json,
    info_to_json,
)


@dataclass(frozen=True)
class Wanted:
    """Bytes of the medium that the child is about to read, from an offset up to another."""

    start: int
    stop: int


Message = (
    Wanted | MediaInfo | MediaWarning | Shard | PageFailure | InputError | Confinement | int | None
)
"""Bytes that are wanted, facts, a warning, a part, a failed page, an error that ends all, walls,
progress, or the end.

Progress is the number of the page that comes next, or 0."""

HEADER: Final = struct.Struct("<cQ")


def write_message(stream: BinaryIO, message: Message) -> None:
    """Send one message."""
    kind, payload = _pack(message)
    stream.write(HEADER.pack(kind, len(payload)))
    stream.write(payload)
    stream.flush()


def _pack(message: Message) -> tuple[bytes, bytes]:
    if isinstance(message, MediaInfo):
        return b"i", info_to_json(message).encode()
    if isinstance(message, Wanted):
        return b"b", json.dumps(asdict(message)).encode()
    if isinstance(message, MediaWarning):
        return b"d", json.dumps(asdict(message)).encode()
    if isinstance(message, Shard):
        return b"s", message.to_ipc()
    if isinstance(message, PageFailure):
        return b"f", json.dumps(asdict(message)).encode()
    if isinstance(message, InputError):
        return b"x", json.dumps([message.code, message.message]).encode()
    if isinstance(message, Confinement):
        return b"w", json.dumps(asdict(message)).encode()
    if isinstance(message, int):
        return b"p", str(message).encode()
    return b"e", b""


def _shard(payload: bytes) -> Shard:
    """A shard whose offsets are checked: it comes from a process that hostile bytes went through.

    Raises:
        ValueError: it is none.
    """
    shard = Shard.from_ipc(payload)
    if shard.rows.schema not in (FRAMES, PAGES):
        message = "the shard has other columns"
        raise ValueError(message)
    shard.rows.validate(full=True)
    return shard


def _warning(payload: bytes) -> MediaWarning:
    warning = MediaWarning(**json.loads(payload))
    if warning.code not in WARNINGS:
        message = f"unknown warning {warning.code!r}"
        raise ValueError(message)
    return warning


def _confinement(payload: bytes) -> Confinement:
    facts = json.loads(payload)
    return Confinement(**(facts | {"reads": tuple(facts["reads"])}))


_READERS: Final[dict[bytes, Callable[[bytes], Message]]] = {
    b"i": info_from_json,
    b"b": lambda payload: Wanted(**{name: int(at) for name, at in json.loads(payload).items()}),
    b"d": _warning,
    b"s": _shard,
    b"f": lambda payload: PageFailure(**json.loads(payload)),
    b"x": lambda payload: InputError(*json.loads(payload)),
    b"w": _confinement,
    b"p": int,
    b"e": lambda _: None,
}


def unpack(kind: bytes, payload: bytes) -> Message:
    """Read one message.

    Raises:
        ValueError: the bytes are none; the child is broken or lies.
    """
    if kind not in _READERS:
        message = f"unknown message kind {kind!r}"
        raise ValueError(message)
    try:
        return _READERS[kind](payload)
    except (pa.ArrowException, TypeError, KeyError, OSError) as error:
        message = f"a message of kind {kind!r} cannot be read: {error}"
        raise ValueError(message) from error
