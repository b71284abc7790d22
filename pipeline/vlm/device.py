"""Device: what torch computes on, and whether a model has room there."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from schemas.errors import SetupError


def default_dtype(device: str) -> torch.dtype:
    """Bfloat16 on a GPU; float32 on a CPU, where bfloat16 decodes slower."""
    return torch.bfloat16 if device.startswith("cuda") else torch.float32


def check_device(device: str) -> None:
    """Use a device once, before any weights are read for it.

    Raises:
        SetupError: `device_missing`.
    """
    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).partition("\n")[0]
        message = (
            f"{device!r}: torch cannot use this device ({reason}); set REELPAGE_DEVICE=cpu, or "
            "install a torch and a driver that can"
        )
        raise SetupError("device_missing", message) from error


def check_room(
    directory: Path, modules: Sequence[nn.Module], device: str, dtype: torch.dtype
) -> None:
    """Compare what weights will take with what a device has.

    Raises:
        SetupError: `device_full`.
    """
    taken = dtype.itemsize * numbers(*modules)
    free, all_of_it = memory(device)
    if taken <= free:
        return
    message = (
        f"{directory}: its weights take {taken / 2**30:,.1f} GiB, and {device} has "
        f"{free / 2**30:,.1f} GiB free of {all_of_it / 2**30:,.1f}; "
    )
    if device.startswith("cuda"):
        message += f"free some, or give {1 + taken // all_of_it + 1} of its kind to --engine vllm"
    else:
        message += "take a smaller model, or a machine with more"
    raise SetupError("device_full", message)


def upload(array: NDArray[np.generic], device: str | torch.device) -> Tensor:
    """An array on a device; uint16 are the bits of bfloat16. A copy to a GPU is not waited for."""
    tensor = torch.from_numpy(array)
    if tensor.dtype == torch.uint16:
        tensor = tensor.view(torch.bfloat16)
    if torch.device(device).type == "cuda":
        tensor = tensor.pin_memory()  # else the copy would be waited for
    return tensor.to(device, non_blocking=True)


def download(tensor: Tensor) -> NDArray[np.generic]:
    """A tensor as an array; bfloat16, which numpy has not, as its bits in uint16."""
    here = tensor.cpu()
    found: NDArray[np.generic] = (
        here.view(torch.uint16) if here.dtype == torch.bfloat16 else here
    ).numpy()
    return found


def numbers(*modules: nn.Module) -> int:
    """Parameters of modules; those that stand in two places of one count once."""
    return sum(one.numel() for module in modules for one in module.parameters())


def memory(device: str) -> tuple[int, int]:
    """Bytes of a device that are free, and all of them; of a CPU all count as free."""
    if device.startswith("cuda"):
        free, total = torch.cuda.mem_get_info(device)
        return free, total
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return total, total
