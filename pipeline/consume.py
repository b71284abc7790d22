"""Consume: the inputs of a run, from files and folders, each with the identity of its content."""

import hashlib
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Final

from schemas.errors import InputError, ReelpageError

_VIDEO_NAMES: Final = """
    .mp4 .m4v .mov .mkv .webm .ts .m2ts .mts .mpg .mpeg .vob .avi .ogv .ogg .flv .3gp .wmv .asf
    .mxf .dv .h264 .264 .h265 .hevc .265 .y4m
"""
_STILL_NAMES: Final = """
    .pdf .docx .pptx .xlsx .odt .odp .ods
    .png .jpg .jpeg .tif .tiff .webp .bmp .gif .apng
    .heic .heif .avif .jp2 .j2k .pbm .pgm .ppm .pnm .ico .tga
"""
_VIDEOS: Final = frozenset(_VIDEO_NAMES.split())
MEDIA_SUFFIXES: Final = _VIDEOS | frozenset(_STILL_NAMES.split())
"""File names looked for in folders. A file named on the command line is taken whatever its name:
the decoder goes by content."""

ARCHIVES: Final = frozenset((".zip", ".tar"))
"""Names of files whose members are looked for."""

_SUBTITLES: Final = frozenset((".srt", ".vtt", ".ass", ".ssa"))

_BLOCK: Final = 1 << 20
_NO_BYTE: Final = re.compile("[\ud800-\udc7f\udd00-\udfff]")  # surrogates that no byte became
_USER: Final = re.compile(r"(?<=://)[^/?#\s]*(?=@)")
_PARAMETER: Final = re.compile(r"([?&;#][^?&;#=\s]*)=([^?&;#\s]*)")
_ESCAPE: Final = re.compile(r"%([0-9A-Fa-f]{2})")
_SECRET: Final = re.compile(
    r"token|secret|signature|passw|credential|session.?id|api.?key|access.?key|jwt"
    r"|(?<![a-z])(sig|key|auth|authorization|pwd|pass|hmac)(?![a-z])",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Input:
    """One file to index.

    Attributes:
        uri: the address that the user gave or that the file has.
        path: the local file.
        input_id: sha256 of the content, or of the address if `error` is set.
        size: bytes.
        error: why the input cannot be read, or None.
        is_temporary: whether the file was downloaded for this run alone.
        subtitles: texts of the subtitle files that go with a video; empty where one has none.
        fill: has bytes of the file come, from an offset up to another; None if all are there.
    """

    uri: str
    path: Path
    input_id: str
    size: int
    error: ReelpageError | None = None
    is_temporary: bool = False
    subtitles: tuple[str, ...] = ()
    fill: Callable[[int, int], tuple[int, int]] | None = None

    @property
    def name(self) -> str:
        """File name without folders."""
        return self.uri.rsplit("/", 1)[-1]

    def discard(self) -> None:
        """Remove a downloaded file."""
        if self.is_temporary:
            self.path.unlink(missing_ok=True)


def failed_input(uri: str, error: ReelpageError) -> Input:
    """An input of which nothing could be read; its identity is that of its address."""
    return Input(uri, Path(uri), hashlib.sha256(uri.encode(errors="replace")).hexdigest(), 0, error)


def with_subtitles(source: Input, texts: Sequence[str]) -> Input:
    """A video with the subtitle files that go with it, which its identity is of too."""
    if source.error is not None or not texts:
        return source
    parts = [source.input_id, *(hashlib.sha256(text.encode()).hexdigest() for text in texts)]
    identity = hashlib.sha256("\0".join(parts).encode()).hexdigest()
    return replace(source, input_id=identity, subtitles=tuple(texts))


def attached(names: Iterable[str]) -> dict[str, list[str]]:
    """Subtitle files of a folder by the video that they go with, as players find them.

    `talk.srt` and `talk.en.srt` go with `talk.mp4`.

    Args:
        names: of all files in the folder.
    """
    videos: dict[str, list[str]] = {}
    subtitles = []
    for name in sorted(names):
        path = Path(name)
        if path.suffix.lower() in _SUBTITLES:
            subtitles.append(path)
        elif path.suffix.lower() in _VIDEOS:
            videos.setdefault(path.stem, []).append(name)
    found: dict[str, list[str]] = {}
    for path in subtitles:
        for stem in (path.stem, Path(path.stem).stem):
            for video in videos.get(stem, ()):
                found.setdefault(video, []).append(path.name)
            if stem in videos:
                break
    return found


def subtitles_beside(path: Path) -> list[Path]:
    """Subtitle files that lie beside a video and go with it."""
    if path.suffix.lower() not in _VIDEOS:
        return []
    folder = path.absolute().parent
    return [folder / name for name in _attached_in(folder).get(path.name, ())]


@lru_cache(maxsize=1)  # callers go through folder by folder
def _attached_in(folder: Path) -> dict[str, list[str]]:
    try:
        return attached(path.name for path in folder.iterdir())
    except OSError:
        return {}


def find_files(
    paths: Iterable[Path], ignored: Counter[str] | None = None
) -> Iterator[Path | Input]:
    """Walk files and folders in a stable order; what is missing comes as a failed input.

    Args:
        paths: a file is taken whatever its name.
        ignored: counts the files in folders that are passed over, by suffix, or by name without.
    """
    for path in paths:
        if path.is_dir():
            yield from _walk(path, Counter() if ignored is None else ignored)
        else:
            yield path


def is_archive(path: Path) -> bool:
    """Whether a file is looked into for its members."""
    return path.suffix.lower() in ARCHIVES and path.is_file()


def kind_of(name: str) -> str:
    """What a file that is passed over is counted under."""
    return Path(name).suffix.lower() or Path(name).name


def _walk(folder: Path, ignored: Counter[str]) -> Iterator[Path | Input]:
    found = False
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        taken = {one for some in attached(names).values() for one in some}
        for name in sorted(set(names) - taken):
            suffix = Path(name).suffix.lower()
            if suffix in MEDIA_SUFFIXES | ARCHIVES and not name.startswith("."):
                found = True
                yield Path(root) / name
            else:
                ignored[kind_of(name)] += 1
    if not found:
        message = (
            f"{quoted(folder)}: the folder holds no media; "
            "give a folder with videos, PDFs or images, or name the files"
        )
        yield failed_input(str(folder.absolute()), InputError("empty_directory", message))


def open_input(path: Path, uri: str | None = None) -> Input:
    """Read a file's identity: sha256 over its bytes.

    Never raises for a bad input: the error is part of the result, so that the rest goes on.
    """
    path = path.absolute()  # so that failures read the same wherever the command was given
    address = uri or str(path)
    try:
        if not path.exists():
            message = f"{quoted(path)}: there is no such file; check the path"
            raise InputError("not_found", message)
        if not path.is_file():
            message = f"{quoted(path)}: not a regular file; copy its content to a file first"
            raise InputError("not_readable", message)
        digest, size = _digest(path)
        if size == 0:
            message = f"{quoted(path)}: the file has zero bytes; fetch or record it again"
            raise InputError("empty_input", message)
        return Input(address, path, digest, size)
    except InputError as error:
        return failed_input(address, error)
    except OSError as error:
        message = f"{quoted(path)}: cannot be read ({error.strerror}); check its permissions"
        return failed_input(address, InputError("not_readable", message))


def _digest(path: Path) -> tuple[str, int]:
    sha, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            sha.update(block)
            size += len(block)
    return sha.hexdigest(), size


def quoted(path: Path | str) -> str:
    r"""A path on one line: control characters are escaped ("\n"), printable ones stay."""
    whole = _NO_BYTE.sub("\N{REPLACEMENT CHARACTER}", str(path))
    text = whole.encode(errors="surrogateescape").decode(errors="replace")
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


def masked(text: str) -> str:
    """A text with `***` for what addresses in it keep secret, to be stored and shown.

    Secret are the user and password before a host, and the values of parameters that are named
    like a token, a signature or a key. What has been masked stays as it is.
    """
    return _PARAMETER.sub(_masked_parameter, _USER.sub("***", text))


def _masked_parameter(found: re.Match[str]) -> str:
    name, value = found.groups()
    plain = _ESCAPE.sub(lambda escape: chr(int(escape[1], 16)), name)
    return f"{name}=***" if _SECRET.search(plain) else f"{name}={value}"
