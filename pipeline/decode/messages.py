"""Messages: what the child tells its parent over the pipe, as kind, length and payload."""

import json
import struct
from collections.abc import Callable
from dataclasses import asdict
from typing import BinaryIO, Final

from schemas.errors import InputError
from schemas.shards import MediaInfo, Shard, UnitFailure, info_from_json, info_to_json

Message = MediaInfo | Shard | UnitFailure | InputError | int | None
"""Facts, a part, a failed page, an error that ends the medium, the page in work, or the end."""

HEADER: Final = struct.Struct("<cQ")


def write_message(stream: BinaryIO, message: Message) -> None:
    """Send one message."""
    kind, payload = _pack(message)
    stream.write(HEADER.pack(kind, len(payload)) + payload)
    stream.flush()


def _pack(message: Message) -> tuple[bytes, bytes]:
    if isinstance(message, MediaInfo):
        return b"i", info_to_json(message).encode()
    if isinstance(message, Shard):
        return b"s", message.to_ipc()
    if isinstance(message, UnitFailure):
        return b"f", json.dumps(asdict(message)).encode()
    if isinstance(message, InputError):
        return b"x", json.dumps([message.code, message.message]).encode()
    if isinstance(message, int):
        return b"p", str(message).encode()
    return b"e", b""


_READERS: Final[dict[bytes, Callable[[bytes], Message]]] = {
    b"i": info_from_json,
    b"s": Shard.from_ipc,
    b"f": lambda payload: UnitFailure(**json.loads(payload)),
    b"x": lambda payload: InputError(*json.loads(payload)),
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
    return _READERS[kind](payload)
