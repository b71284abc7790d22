"""Engine: PP-OCRv6 by ONNX Runtime, from the models that are in the wheel of `rapidocr`.

The small models, Apache-2.0, read Latin scripts, Chinese and Japanese. Nothing is downloaded.
"""

import hashlib
import importlib.util
import threading
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pipeline.recognise.lines import Read
from pipeline.recognise.order import Box, reading_order
from schemas.errors import InputError, SetupError

MODEL: Final = "PP-OCRv6-small"
_FILES: Final = (
    "PP-OCRv6_det_small.onnx",
    "PP-OCRv6_rec_small.onnx",
    "ch_ppocr_mobile_v2.0_cls_mobile.onnx",
)


@cache
def revision() -> str:
    """Identity of the models' content: 12 hex digits.

    Raises:
        SetupError: `model_missing`.
    """
    digest = hashlib.sha256()
    for name in _FILES:
        path = _folder() / name
        try:
            digest.update(path.read_bytes())
        except OSError as error:
            message = f"{path}: cannot be read ({error.strerror}); install rapidocr again"
            raise SetupError("model_missing", message) from error
    return digest.hexdigest()[:12]


class Recogniser:
    """The models, loaded when the first picture comes; one picture at a time."""

    def __init__(self, threads: int = 0) -> None:
        """Take how many threads the models use; 0 leaves the choice to ONNX Runtime."""
        self._threads = threads or -1
        self._lock = threading.Lock()
        self._engine: Any = None

    def read(self, picture: NDArray[np.uint8]) -> list[Read]:
        """The lines of a picture `uint8 (height, width, 3)`, in the order in which people read.

        Raises:
            SetupError: `model_missing`: a model is damaged.
            InputError: `recognise_failed`: the models raise on this picture.
        """
        with self._lock:
            engine = self._loaded()
            try:
                found = engine(np.ascontiguousarray(picture[:, :, ::-1]))
            except Exception as error:
                reason = str(error) or type(error).__name__
                message = f"the recogniser of text fails on a picture ({reason})"
                raise InputError("recognise_failed", message) from error
        if found.txts is None:
            return []
        lines = [
            Read(_bounds(corners), text, float(score))
            for corners, text, score in zip(found.boxes, found.txts, found.scores, strict=True)
            if text.strip()
        ]
        return [lines[index] for index in reading_order([line.box for line in lines])]

    def _loaded(self) -> Any:  # noqa: ANN401 - rapidocr is untyped
        if self._engine is None:
            from rapidocr import RapidOCR  # it takes a second, and many never ask

            parameters = {
                "Global.log_level": "critical",
                "EngineConfig.onnxruntime.intra_op_num_threads": self._threads,
            }
            try:
                self._engine = RapidOCR(params=parameters)
            except Exception as error:
                message = (
                    f"{_folder()}: its models cannot be loaded ({error}); install rapidocr again"
                )
                raise SetupError("model_missing", message) from error
        return self._engine


def _folder() -> Path:
    """Where the models are, without importing what would load them."""
    found = importlib.util.find_spec("rapidocr")
    if found is None or found.origin is None:
        message = "rapidocr is not installed; install reelpage again"
        raise SetupError("model_missing", message)
    return Path(found.origin).parent / "models"


def _bounds(corners: NDArray[np.float32]) -> Box:
    """The upright box around four corners."""
    low, high = np.floor(corners.min(axis=0)), np.ceil(corners.max(axis=0))
    return int(low[0]), int(low[1]), int(high[0]), int(high[1])
