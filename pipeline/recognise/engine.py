"""Engine: finds the lines of a picture and reads each, by PP-OCR and ONNX Runtime.

A line that the model of the wheel cannot read with confidence, those of further scripts are shown.
"""

import os
import threading
from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np

from pipeline.recognise.columns import parted
from pipeline.recognise.eyes import Picture, Read
from pipeline.recognise.models import Listed, fetched
from pipeline.recognise.order import Box, Corners, reading_order, straight
from pipeline.recognise.tiles import tiles
from schemas.errors import InputError, SetupError

_READ: Final = 0.75
"""Least confidence of a line that was read. The library's own, 0.5, lets through 20 of 638 lines
that are wrong, and 35 % of what is of a script that no model here knows; this lets through 2, and
15 %, and costs one line that is right (`python -m benchmarks.confidence`)."""
_WIDTH: Final = 4
"""Most pictures at a time: a page at work takes 0.4 GB."""
_SURE: Final = 0.9
"""Least confidence at which no other model is asked."""


class Recogniser:
    """The models, loaded when the first picture comes, for callers on several threads.

    Several pictures at a time, one thread each, need a sixth less of the processor than one
    picture by several threads, and keep all cores busy.

    Attributes:
        width: pictures that are read at a time.
    """

    def __init__(self, threads: int = 0, least: float = _READ) -> None:
        """Take how many threads may work, by default one a core, and how sure they have to be."""
        threads = threads or os.cpu_count() or 1
        self._least = least
        self._threads = -(-threads // _WIDTH)  # for one picture
        self.width = threads // self._threads
        self._free = threading.Semaphore(self.width)
        self._loading = threading.Lock()
        self._engines: list[Any] = []

    def read(self, picture: Picture) -> list[Read]:
        """The lines of a picture `uint8 (height, width, 3)`, in the order in which people read.

        A line that no model can read has an empty text.

        Raises:
            SetupError: `model_missing`: a model is damaged.
            InputError: `recognise_failed`: the models raise on this picture.
        """
        engines = self._loaded()
        with self._free:
            try:
                found = [
                    (corners + np.array((left, top)), text, score)
                    for left, top, tile in tiles(picture)
                    for corners, text, score in _lines(engines, tile, self._least)
                ]
            except Exception as error:
                reason = str(error) or type(error).__name__
                message = f"the recogniser of text fails on a picture ({reason})"
                raise InputError("recognise_failed", message) from error
        order = reading_order([_bounds(one) for one in straight([one for one, *_ in found])])
        return [_line(picture, *found[index]) for index in order]

    def _loaded(self) -> Sequence[Any]:
        """That of the wheel, and those of further scripts."""
        with self._loading:
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


def _lines(
    engines: Sequence[Any], tile: Picture, least: float
) -> Iterator[tuple[Corners, str, float]]:
    """Corners of each line of a tile, and what the engine that is surest reads there."""
    from rapidocr.main import RapidOCRError

    own, *others = engines
    record: dict[str, Any] = {}
    picture = np.ascontiguousarray(tile[:, :, ::-1])
    try:
        cut, found = own.detect_and_crop(picture, record)
    except RapidOCRError:  # nothing stands there
        return
    margin = record["padding_1"]["top"]  # the library's own, above and below a low picture
    places = list(found.boxes)
    if not margin and len(halves := parted(tile, places)) > len(places):
        places = [one.astype(np.float32) for one in halves]
        cut = own.crop_text_regions(picture, places)
    upright = own.cls_and_rotate(cut)[0]
    texts = _texts(own, upright)
    for other in others:
        unsure = [n for n, (_, score) in enumerate(texts) if score < _SURE]
        again = _texts(other, [upright[n] for n in unsure])
        for n, one in zip(unsure, again, strict=True):
            texts[n] = max(texts[n], one, key=lambda read: read[1])
    for corners, (text, score) in zip(places, texts, strict=True):
        yield corners - (0, margin), text if score >= least else "", score


def _texts(engine: Any, pictures: Sequence[Any]) -> list[tuple[str, float]]:  # noqa: ANN401
    """What an engine reads in pictures of one line each, and how sure it is."""
    if not pictures:
        return []
    read = engine.recognize_txt(list(pictures))
    pairs = zip(read.txts, read.scores, strict=True)
    return [(text.strip(), float(score) if text.strip() else 0.0) for text, score in pairs]


def _bounds(corners: Corners) -> Box:
    """The upright box around four corners."""
    low, high = np.floor(corners.min(axis=0)), np.ceil(corners.max(axis=0))
    return int(low[0]), int(low[1]), int(high[0]), int(high[1])


def _line(picture: Picture, corners: Corners, text: str, score: float) -> Read:
    """A line, as far as it is in the picture."""
    height, width = picture.shape[:2]
    return Read(_bounds(corners.clip((0, 0), (width, height))), text, score)
