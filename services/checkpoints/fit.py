"""Fit: what a checkpoint takes of a device, and whether it has room there."""

from dataclasses import dataclass
from typing import Final

from services.checkpoints.found import Checkpoint

_CONTEXT: Final = 8192


@dataclass(frozen=True)
class Fit:
    """A checkpoint beside a device; sizes in bytes.

    Attributes:
        address: of the checkpoint.
        folder: where it is.
        parameters: of both halves.
        file_bytes: of its weights' files.
        quantised: whether they are kept in fewer bits, which vLLM alone can run.
        weight_bytes: of the weights as they are computed with.
        context: tokens ...
        kv_bytes: ... and what they take of the cache.
        picture_tokens: of the largest picture that the checkpoint takes.
        device: as torch names it.
        device_bytes: all that it has.
        fits: whether weights and cache have room in what is free.
    """

    address: str
    folder: str
    parameters: int
    file_bytes: int
    quantised: bool
    weight_bytes: int
    context: int
    kv_bytes: int
    picture_tokens: int
    device: str
    device_bytes: int
    fits: bool


def fit(checkpoint: Checkpoint, device: str) -> Fit:
    """Compare what a checkpoint's configuration says with what a device has.

    Raises:
        SetupError: `model_missing` or `model_unsupported`.
    """
    from pipeline.vlm.device import default_dtype, memory
    from pipeline.vlm.needs import needs

    found, size = needs(checkpoint.folder), default_dtype(device).itemsize
    files = sum(path.stat().st_size for path in checkpoint.folder.glob("*.safetensors"))
    weights = files if found.is_quantised else size * (found.vision + found.language)
    context = min(_CONTEXT, found.longest)
    kv = size * found.cell * context
    free, total = memory(device)
    return Fit(
        address=checkpoint.address,
        folder=str(checkpoint.folder),
        parameters=found.vision + found.language,
        file_bytes=files,
        quantised=found.is_quantised,
        weight_bytes=weights,
        context=context,
        kv_bytes=kv,
        picture_tokens=found.visual_tokens,
        device=device,
        device_bytes=total,
        fits=weights + kv <= free,
    )
