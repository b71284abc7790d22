"""Models: what the recogniser reads with, checked by the checksums that `rapidocr` lists.

PP-OCRv6's small models are in its wheel and read Latin scripts, Chinese and Japanese (Apache-2.0).
Models of further scripts lie in a folder of the user's, once `reelpage models` has fetched them.
"""

import hashlib
import importlib.util
import os
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml

from schemas.errors import SetupError

MODEL: Final = "PP-OCRv6-small"
_OWN: Final = (
    ("PP-OCRv6", "det", "multi_PP-OCRv6_det_small"),
    ("PP-OCRv6", "rec", "multi_PP-OCRv6_rec_small"),
    ("PP-OCRv4", "cls", "ch_ppocr_mobile_v2.0_cls_mobile"),
)
_FURTHER: Final = {
    "korean": "korean",
    "cyrillic": "cyrillic",
    "arabic": "arabic",
    "greek": "el",
    "devanagari": "devanagari",
    "thai": "th",
}
"""Scripts by their name here, and the languages that `rapidocr` names their models by."""


@dataclass(frozen=True)
class Listed:
    """A model as `rapidocr` lists it.

    Attributes:
        name: of what it reads.
        language: as `rapidocr` calls that.
        url: where it can be had.
        sha256: of its file.
    """

    name: str
    language: str
    url: str
    sha256: str

    @property
    def path(self) -> Path:
        """Where it lies, or would lie, once it is fetched."""
        return folder() / self.url.rsplit("/", 1)[-1]


def folder() -> Path:
    """Where models of further scripts lie."""
    cached = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cached) / "reelpage" / "recogniser"


def further() -> dict[str, Listed]:
    """Models of further scripts that can be had, by name.

    Raises:
        SetupError: `model_missing`.
    """
    rows = _list()["PP-OCRv5"]["rec"]
    found = {name: rows.get(f"{key}_PP-OCRv5_rec_mobile") for name, key in _FURTHER.items()}
    return {
        name: Listed(name, _FURTHER[name], one["model_dir"], one["SHA256"])
        for name, one in found.items()
        if one
    }


def fetched() -> list[Listed]:
    """Those of `further` that are here, in a stable order.

    Raises:
        SetupError: `model_missing`.
    """
    if not folder().is_dir():
        return []
    return [one for one in further().values() if one.path.exists()]


@cache
def revision() -> str:
    """Identity of all models' content: 12 hex digits.

    Raises:
        SetupError: `model_missing`: a model is not there, or is not what is listed.
    """
    return digest_of(fetched())


def digest_of(more: Iterable[Listed]) -> str:
    """The same with these models of further scripts."""
    digest = hashlib.sha256()
    for version, kind, name in _OWN:
        listed = _list()[version][kind][name]
        path = _home() / "models" / listed["model_dir"].rsplit("/", 1)[-1]
        digest.update(_checked(path, listed["SHA256"], "install rapidocr again"))
    for one in more:
        remedy = f"run: reelpage models --fetch {one.name}"
        digest.update(_checked(one.path, one.sha256, remedy))
    return digest.hexdigest()[:12]


def _checked(path: Path, sha256: str, remedy: str) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as error:
        message = f"{path}: cannot be read ({error.strerror}); {remedy}"
        raise SetupError("model_missing", message) from error
    if hashlib.sha256(data).hexdigest() != sha256:
        message = f"{path}: is damaged, its checksum is not the one listed; {remedy}"
        raise SetupError("model_missing", message)
    return data


def _home() -> Path:
    """The folder of `rapidocr`, without importing what would load its models."""
    found = importlib.util.find_spec("rapidocr")
    if found is None or found.origin is None:
        message = "rapidocr is not installed; install reelpage again"
        raise SetupError("model_missing", message)
    return Path(found.origin).parent


@cache
def _list() -> Any:  # noqa: ANN401 - YAML of a library
    """Models by version, kind and name, as ONNX."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times faster, where it is built
    path = _home() / "default_models.yaml"
    try:
        return yaml.load(path.read_bytes(), loader)["onnxruntime"]
    except (OSError, yaml.YAMLError, KeyError, TypeError) as error:
        message = f"{path}: cannot be read ({error}); install rapidocr again"
        raise SetupError("model_missing", message) from error
