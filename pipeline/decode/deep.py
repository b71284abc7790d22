"""Deep: colours of 16 bits that use only the lower ones, which Pillow would cut to near black.

Cameras and microscopes store 10 to 14 bits in 16. FFmpeg reads all of them.
"""

from typing import BinaryIO, Final, cast

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile

from schemas.errors import InputError

_HALF: Final = 128  # of 255: where a picture reaches it, its values use all bits


def is_deep(image: ImageFile.ImageFile) -> bool:
    """Whether a colour image, not loaded yet, has 16 bits a value."""
    return image.mode in ("RGB", "RGBA") and any(";16" in str(tile[3]) for tile in image.tile)


def by_its_bits(image: ImageFile.ImageFile, file: BinaryIO) -> Image.Image:
    """A deep image that was loaded from a file, in 8 bits of those that it uses.

    Raises:
        InputError: `corrupt`.
    """
    colours = image.convert("RGB")
    if max(high for _, high in cast("tuple[tuple[int, int], ...]", colours.getextrema())) >= _HALF:
        return image
    values = _values(file, image.mode)
    shift = max(int(values[:, :, :3].max()).bit_length() - 8, 0)
    values[:, :, :3] >>= shift
    values[:, :, 3:] >>= 8
    made = Image.fromarray(values.astype(np.uint8))
    made.info = dict(image.info)
    return made


def _values(file: BinaryIO, mode: str) -> NDArray[np.uint16]:
    file.seek(0)
    form = "rgba64le" if mode == "RGBA" else "rgb48le"
    try:
        with av.open(file, "r") as container:
            frame = next(container.decode(video=0))
            found = frame.reformat(format=form).to_ndarray()
    except (av.FFmpegError, StopIteration) as error:
        message = f"its values of 16 bits cannot be read ({error}); export it with 8 bits"
        raise InputError("corrupt", message) from error
    return found.astype(np.uint16)
