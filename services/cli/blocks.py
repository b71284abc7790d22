"""Blocks: a picture in a terminal, two pixels a character."""

import numpy as np
from rich.style import Style
from rich.text import Text

from pipeline.decode import pixels


def blocks(encoded: bytes, width: int) -> Text:
    """A picture as half blocks, at most `width` characters wide."""
    image = pixels(encoded)
    step = max(1, -(-image.shape[1] // width))
    rows = image.shape[0] // (2 * step) * 2 * step
    columns = image.shape[1] // step * step
    small = image[:rows, :columns].reshape(rows // step, step, columns // step, step, 3)
    values = small.mean(axis=(1, 3)).astype(np.uint8)
    text = Text()
    for upper, lower in zip(values[::2], values[1::2], strict=True):
        for a, b in zip(upper.tolist(), lower.tolist(), strict=True):
            colours = Style(color="rgb({},{},{})".format(*a), bgcolor="rgb({},{},{})".format(*b))
            text.append("▀", colours)
        text.append("\n")
    return text
