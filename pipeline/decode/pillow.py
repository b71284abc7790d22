"""Pillow: what it raises, as errors of ours."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image, UnidentifiedImageError

from pipeline.decode.plan import Limits
from schemas.errors import InputError


@contextmanager
def image_errors(limits: Limits) -> Iterator[None]:
    """Turn what Pillow raises into an `InputError`, its warning of a bomb too."""
    Image.MAX_IMAGE_PIXELS = limits.image_pixels
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            yield
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        message = f"it has more than {limits.image_pixels} pixels; scale it down"
        raise InputError("too_large", message) from error
    except UnidentifiedImageError as error:
        message = "the image's header is damaged or of a kind that is not read; export it again"
        raise InputError("corrupt", message) from error
    except (MemoryError, InputError):
        raise
    except Exception as error:  # whatever its bytes lead a decoder to
        code = "truncated" if "truncated" in str(error) else "corrupt"
        reason = str(error) or type(error).__name__
        message = f"the image cannot be read ({reason}); fetch or export it again"
        raise InputError(code, message) from error
