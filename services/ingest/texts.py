"""Texts: subtitle files as text, whatever they are encoded in."""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from charset_normalizer import from_bytes

_MOST: Final = 1 << 22  # bytes: a day of talk has half as many
_MARKS: Final = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))


def texts_of(paths: Iterable[Path]) -> list[str]:
    """Texts of files; empty of one that cannot be read."""
    texts = []
    for path in paths:
        try:
            texts.append(read_text(path))
        except OSError:
            texts.append("")
    return texts


def read_text(path: Path) -> str:
    """The text of a file, by its byte order mark, as UTF-8, or by what its letters look like.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        data = file.read(_MOST)
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return data[len(mark) :].decode(encoding, errors="replace")
    try:
        return data.decode()
    except UnicodeDecodeError:
        guess = from_bytes(data).best()
        return data.decode(errors="replace") if guess is None else str(guess)
