"""Facts: what a checkpoint's folder says of itself, read without torch."""

import hashlib
import json
import os
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from schemas.errors import SetupError

_DIGEST_BYTES: Final = 32
_WORTH: Final = 64 << 20  # bytes of a file that is read in no time
_FAMILIES: Final = ("qwen2_vl", "qwen2_5_vl")


@dataclass(frozen=True)
class ProcessorSettings:
    """How a checkpoint wants its pictures.

    Attributes:
        min_pixels: least area.
        max_pixels: largest area.
        mean: of each channel, for values in 0..1.
        std: of each channel.
        patch: pixels a side of a patch.
        merge: patches a side of a visual token.
        temporal: frames of a patch.
    """

    min_pixels: int
    max_pixels: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    patch: int
    merge: int
    temporal: int


def read_family(directory: Path) -> str:
    """The `model_type` of `config.json`, which is one of the family's.

    Raises:
        SetupError: `model_missing` or `model_unsupported`.
    """
    path = directory / "config.json"
    if not path.is_file():
        message = f"{directory}: no config.json; give the folder of a Qwen2-VL checkpoint"
        raise SetupError("model_missing", message)
    try:
        family: str = json.loads(path.read_text())["model_type"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise unreadable(path, error) from error
    if family not in _FAMILIES:
        known = " and ".join(_FAMILIES)
        message = f"{directory}: model_type is {family!r}; reelpage runs {known}"
        raise SetupError("model_unsupported", message)
    return family


def read_processor(directory: Path) -> ProcessorSettings:
    """Read `preprocessor_config.json`; both spellings of the pixel budget.

    Raises:
        SetupError: `model_missing`.
    """
    try:
        value = json.loads((directory / "preprocessor_config.json").read_text())
        size = value.get("size") or {}
        return ProcessorSettings(
            min_pixels=int((value | size).get("min_pixels") or size["shortest_edge"]),
            max_pixels=int((value | size).get("max_pixels") or size["longest_edge"]),
            mean=tuple(value["image_mean"]),
            std=tuple(value["image_std"]),
            patch=int(value.get("patch_size", 14)),
            merge=int(value.get("merge_size", 2)),
            temporal=int(value.get("temporal_patch_size", 2)),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise unreadable(directory / "preprocessor_config.json", error) from error


def revision(directory: Path) -> str:
    """Identity of a checkpoint's content: 12 hex digits over its configuration and weights."""
    sha = hashlib.sha256()
    names = ("config.json", "preprocessor_config.json", "tokenizer.json", "generation_config.json")
    for path in [directory / name for name in names] + sorted(directory.glob("*.safetensors")):
        if path.exists():
            facts = path.stat()
            sha.update(_digest(path.resolve(), facts.st_size, facts.st_mtime_ns))
    return sha.hexdigest()[:12]


@cache
def _digest(path: Path, size: int, mtime_ns: int) -> bytes:
    """Digest of a file, which a machine reads once: all processes and replicas keep it for all."""
    known = _kept() / hashlib.sha256(repr((str(path), size, mtime_ns)).encode()).hexdigest()
    with suppress(OSError):
        if len(found := known.read_bytes()) == _DIGEST_BYTES:
            return found
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").digest()
    if size >= _WORTH:
        _keep(known, found)
    return found


def _kept() -> Path:
    cached = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cached) / "reelpage" / "digests"


def _keep(known: Path, digest: bytes) -> None:
    """Store a digest, whole or not at all; a home that cannot be written keeps none."""
    part = known.with_suffix(f".{os.getpid()}")
    with suppress(OSError):
        known.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(digest)
        part.replace(known)


def unreadable(path: Path, error: Exception) -> SetupError:
    """What is said of a file of a checkpoint that cannot be read."""
    return SetupError("model_missing", f"{path}: cannot be read ({error!r}); copy it again")
