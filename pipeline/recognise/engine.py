"""Engine: finds the lines of a picture and reads each, by PP-OCR and ONNX Runtime.

A line that the model of the wheel cannot read with confidence, those of further scripts are shown.
"""

import threading
from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pipeline.recognise.lines import Read
from pipeline.recognise.models import Listed, fetched
from pipeline.recognise.order import Box, reading_order
from pipeline.recognise.tiles import tiles
from schemas.errors import InputError, SetupError

_READ: Final = 0.5
"""Least confidence of a line that was read."""
_SURE: Final = 0.9
"""Least confidence at which no other model is asked."""

Picture = NDArray[np.uint8]


class Recogniser:
    """The models, loaded when the first picture comes; one picture at a time."""

    def __init__(self, threads: int = 0) -> None:
        """Take how many threads the models use; 0 leaves the choice to ONNX Runtime."""
        self._threads = threads or -1
        self._lock = threading.Lock()
        self._engines: list[Any] = []

    def read(self, picture: Picture) -> list[Read]:
        """The lines of a picture `uint8 (height, width, 3)`, in the order in which people read.

        A line that no model can read has an empty text.

        Raises:
            SetupError: `model_missing`: a model is damaged.
            InputError: `recognise_failed`: the models raise on this picture.
        """
        with self._lock:
            engines = self._loaded()
            try:
                lines = [
                    _moved(line, left, top, picture)
                    for left, top, tile in tiles(picture)
                    for line in _lines(engines, tile)
                ]
            except Exception as error:
                reason = str(error) or type(error).__name__
                message = f"the recogniser of text fails on a picture ({reason})"
                raise InputError("recognise_failed", message) from error
        return [lines[index] for index in reading_order([line.box for line in lines])]

    def _loaded(self) -> Sequence[Any]:
        """That of the wheel, and those of further scripts."""
        if not self._engines:
            self._engines = [self._load(one) for one in (None, *fetched())]
        return self._engines

    def _load(self, model: Listed | None) -> Any:  # noqa: ANN401 - rapidocr is untyped
        from rapidocr import LangRec, ModelType, OCRVersion, RapidOCR  # it takes a second

        parameters: dict[str, Any] = {
            "Global.log_level": "critical",
            "EngineConfig.onnxruntime.intra_op_num_threads": self._threads,
        }
        if model is not None:
            parameters |= {
                "Rec.lang_type": LangRec(model.language),
                "Rec.ocr_version": OCRVersion.PPOCRV5,
                "Rec.model_type": ModelType.MOBILE,
                "Rec.model_path": str(model.path),
            }
        try:
            return RapidOCR(params=parameters)
        except Exception as error:
            name = "its own models" if model is None else str(model.path)
            message = f"rapidocr cannot load {name} ({error}); install it again"
            raise SetupError("model_missing", message) from error


def _lines(engines: Sequence[Any], tile: Picture) -> Iterator[Read]:
    """Lines of a tile, as the engine that is surest reads each."""
    from rapidocr.main import RapidOCRError

    own, *others = engines
    record: dict[str, Any] = {}
    try:
        cut, found = own.detect_and_crop(np.ascontiguousarray(tile[:, :, ::-1]), record)
    except RapidOCRError:  # nothing stands there
        return
    upright = own.cls_and_rotate(cut)[0]
    texts = _texts(own, upright)
    for other in others:
        unsure = [n for n, (_, score) in enumerate(texts) if score < _SURE]
        again = _texts(other, [upright[n] for n in unsure])
        for n, one in zip(unsure, again, strict=True):
            texts[n] = max(texts[n], one, key=lambda read: read[1])
    margin = record["padding_1"]["top"]  # the library's own, above a low picture
    for corners, (text, score) in zip(found.boxes, texts, strict=True):
        yield Read(_bounds(corners, margin), text if score >= _READ else "", score)


def _texts(engine: Any, pictures: Sequence[Any]) -> list[tuple[str, float]]:  # noqa: ANN401
    """What an engine reads in pictures of one line each, and how sure it is."""
    if not pictures:
        return []
    read = engine.recognize_txt(list(pictures))
    pairs = zip(read.txts, read.scores, strict=True)
    return [(text.strip(), float(score) if text.strip() else 0.0) for text, score in pairs]


def _bounds(corners: NDArray[np.float32], margin: int) -> Box:
    """The upright box around four corners."""
    low, high = np.floor(corners.min(axis=0)), np.ceil(corners.max(axis=0))
    return int(low[0]), int(low[1]) - margin, int(high[0]), int(high[1]) - margin


def _moved(line: Read, left: int, top: int, picture: Picture) -> Read:
    """A line of a tile at its place in the picture."""
    height, width = picture.shape[:2]
    x0, y0, x1, y1 = line.box
    across = [min(max(x + left, 0), width) for x in (x0, x1)]
    down = [min(max(y + top, 0), height) for y in (y0, y1)]
    return line._replace(box=(across[0], down[0], across[1], down[1]))
