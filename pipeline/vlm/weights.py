"""Weights: the tensors of one module out of a checkpoint's safetensors, and no others.

Pickled weights are refused: to read them is to run code.
"""

import json
from collections.abc import Container, Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import nn

from schemas.errors import SetupError


def fill(
    module: nn.Module,
    directory: Path,
    prefixes: Sequence[str],
    dtype: torch.dtype,
    device: str = "cpu",
) -> None:
    """Read a module's tensors, each by the first prefix under which it is found.

    Args:
        module: built on the meta device; left there by `assign`, nothing is allocated twice.
        directory: with `model.safetensors`, or shards with or without an index.
        prefixes: of the module's tensor names, newest layout first.
        dtype: of the result.
        device: to which each tensor goes when it is read, with no copy of all of them elsewhere.

    Raises:
        SetupError: `model_missing` or `model_unsupported`.
    """
    index = _index(directory)
    wanted = module.state_dict()
    keys = _locate(wanted, index, prefixes, directory)
    files = {path: _open(path, device) for path in {index[key] for key in keys.values()}}
    found: dict[str, torch.Tensor] = {}
    for name, key in keys.items():
        found[name] = files[index[key]].get_tensor(key).to(dtype)
        if found[name].shape != wanted[name].shape:
            shapes = f"{tuple(found[name].shape)}, not {tuple(wanted[name].shape)}"
            message = f"{directory}: tensor {key} is {shapes}; config.json is of another model"
            raise SetupError("model_unsupported", message)
    module.load_state_dict(found, assign=True)
    _rebuild_rotary(module)


def _locate(
    wanted: Iterable[str], index: Container[str], prefixes: Sequence[str], directory: Path
) -> dict[str, str]:
    """Map each wanted name to its key in the checkpoint."""
    keys: dict[str, str] = {}
    missing: list[str] = []
    for name in wanted:
        key = next((prefix + name for prefix in prefixes if prefix + name in index), None)
        if key is None:
            missing.append(name)
        else:
            keys[name] = key
    if missing:
        message = (
            f"{directory}: {len(missing)} tensors are missing, the first is {missing[0]}; "
            "the checkpoint is incomplete, copy it again"
        )
        raise SetupError("model_missing", message)
    return keys


def _rebuild_rotary(module: nn.Module) -> None:
    """Rotary frequencies are no weights: on the meta device they were never computed."""
    for name, child in list(module.named_modules()):
        if "inv_freq" in child._buffers:
            parent = module.get_submodule(name.rpartition(".")[0])
            setattr(parent, name.rpartition(".")[2], type(child)(child.config))


def _index(directory: Path) -> dict[str, Path]:
    """Map each tensor's name to the file that holds it, by the index where there is one."""
    listing = directory / "model.safetensors.index.json"
    if listing.is_file():
        try:
            names = json.loads(listing.read_text())["weight_map"]
            return {key: directory / name for key, name in names.items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            message = f"{listing}: cannot be read ({error!r}); copy it again"
            raise SetupError("model_missing", message) from error
    files = sorted(directory.glob("*.safetensors"))
    if not files:
        pickled = any(directory.glob("*.bin")) or any(directory.glob("*.pt"))
        remedy = "convert them to safetensors" if pickled else "copy the checkpoint again"
        reason = "only pickled weights" if pickled else "no *.safetensors file"
        message = f"{directory}: {reason}; {remedy}"
        raise SetupError("model_missing", message)
    return {key: path for path in files for key in _open(path).keys()}  # noqa: SIM118


def _open(path: Path, device: str = "cpu") -> Any:  # noqa: ANN401 - an untyped native class
    try:
        return safe_open(path, framework="pt", device=device)
    except (OSError, SafetensorError) as error:
        message = f"{path}: cannot be read ({error}); copy it again"
        raise SetupError("model_missing", message) from error
