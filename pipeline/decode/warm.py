"""Warm: what libraries import only when they first need it, imported beforehand.

A confined child can open no module. What is missing here shows as `decoder_crashed` with the name
of a module's file; tests decode every kind of medium behind the walls.
"""

from importlib import import_module
from typing import Final

import pi_heif
from PIL import Image

_LATE: Final = (
    *("encodings.ascii", "encodings.latin_1"),
    *("encodings.utf_16", "encodings.utf_16_be", "encodings.utf_16_le"),
    *("av.subtitles.codeccontext", "av.subtitles.stream", "av.subtitles.subtitle"),
    *("PIL.ImageFilter", "PIL.ImageCms", "numpy.ma", "pyarrow.compute"),
    "pipeline.decode.animation",
)


def warm() -> None:
    """Import it all; takes a few tenths of a second, once."""
    Image.init()
    pi_heif.register_heif_opener(thumbnails=False)
    for name in _LATE:
        import_module(name)
