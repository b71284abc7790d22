"""Device: where the model of this process runs, when nobody says."""

from typing import Final

AUTO: Final = "auto"


def resolve(device: str) -> str:
    """The torch device that is meant: for "auto" a GPU where torch sees one, else the CPU.

    Apple's "mps" has to be named: nothing of the model has been tried there. Whether torch can
    use the device is found out by whoever loads a model on it.
    """
    if device != AUTO:
        return device
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def gpus() -> int:
    """GPUs of this machine that torch sees."""
    import torch

    return torch.cuda.device_count()
