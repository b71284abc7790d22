"""Checkpoints: a Qwen2-VL or Qwen2.5-VL directory, loaded as two halves.

Each half is built empty and filled with its own tensors alone, read one by one from safetensors;
the other half's weights are never read. Pickled weights are refused: they run code.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

import torch
from safetensors import safe_open
from torch import nn
from transformers import AutoConfig, AutoTokenizer, GenerationConfig, PreTrainedTokenizerBase
from transformers.models.qwen2_5_vl import modeling_qwen2_5_vl as qwen2_5
from transformers.models.qwen2_vl import modeling_qwen2_vl as qwen2

from schemas.errors import SetupError

_VISION: Final = {
    "qwen2_vl": qwen2.Qwen2VisionTransformerPretrainedModel,
    "qwen2_5_vl": qwen2_5.Qwen2_5_VisionTransformerPretrainedModel,
}
_LANGUAGE: Final = {
    "qwen2_vl": qwen2.Qwen2VLTextModel,
    "qwen2_5_vl": qwen2_5.Qwen2_5_VLTextModel,
}
# Published checkpoints say "visual." and "model."; saved by a current library, the longer ones.
_VISION_PREFIXES: Final = ("model.visual.", "visual.")
_LANGUAGE_PREFIXES: Final = ("model.language_model.", "language_model.model.", "model.")


@dataclass(frozen=True)
class ProcessorSettings:
    """How a checkpoint wants its pictures.

    Attributes:
        min_pixels: least area.
        max_pixels: largest area.
        mean: of each channel, for values in 0..1.
        std: of each channel.
        patch: pixels a side of a patch.
        merge: patches a side of a visual token.
        temporal: frames of a patch.
    """

    min_pixels: int
    max_pixels: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    patch: int
    merge: int
    temporal: int


@dataclass
class Language:
    """The language half: the decoder stack and the head over the vocabulary."""

    model: nn.Module
    head: nn.Linear
    config: Any

    @property
    def embed(self) -> nn.Embedding:
        """The token embedding."""
        return cast("nn.Embedding", self.model.embed_tokens)


def read_config(directory: Path) -> Any:  # noqa: ANN401 - the library's own class per family
    """Read and check `config.json`.

    Raises:
        SetupError: `model_missing` or `model_unsupported`.
    """
    if not (directory / "config.json").is_file():
        message = f"{directory}: no config.json; give the folder of a Qwen2-VL checkpoint"
        raise SetupError("model_missing", message)
    try:
        family = json.loads((directory / "config.json").read_text()).get("model_type")
    except ValueError as error:
        message = f"{directory}/config.json: is no JSON; copy the checkpoint again"
        raise SetupError("model_missing", message) from error
    if family not in _VISION:
        known = " and ".join(_VISION)
        message = f"{directory}: model_type is {family!r}; reelpage runs {known}"
        raise SetupError("model_unsupported", message)
    return AutoConfig.from_pretrained(directory, local_files_only=True)


def read_processor(directory: Path) -> ProcessorSettings:
    """Read `preprocessor_config.json`; both spellings of the pixel budget.

    Raises:
        SetupError: `model_missing`.
    """
    try:
        value = json.loads((directory / "preprocessor_config.json").read_text())
        size = value.get("size") or {}
        return ProcessorSettings(
            min_pixels=int(value.get("min_pixels") or size["shortest_edge"]),
            max_pixels=int(value.get("max_pixels") or size["longest_edge"]),
            mean=tuple(value["image_mean"]),
            std=tuple(value["image_std"]),
            patch=int(value.get("patch_size", 14)),
            merge=int(value.get("merge_size", 2)),
            temporal=int(value.get("temporal_patch_size", 2)),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        message = f"{directory}/preprocessor_config.json: cannot be read ({error}); copy it again"
        raise SetupError("model_missing", message) from error


def read_tokenizer(directory: Path) -> PreTrainedTokenizerBase:
    """The checkpoint's own tokenizer.

    Raises:
        SetupError: `model_missing`.
    """
    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
            directory, local_files_only=True
        )
    except (OSError, ValueError) as error:
        message = f"{directory}: the tokenizer cannot be read ({error}); copy tokenizer.json again"
        raise SetupError("model_missing", message) from error
    return tokenizer


def stop_tokens(directory: Path, tokenizer: PreTrainedTokenizerBase) -> frozenset[int]:
    """Token ids that end an answer: of `generation_config.json`, and the end of a turn."""
    stops: set[int] = {int(str(tokenizer.convert_tokens_to_ids("<|im_end|>")))}
    if (directory / "generation_config.json").exists():
        given = GenerationConfig.from_pretrained(directory).eos_token_id
        stops |= set(given if isinstance(given, list) else [given]) - {None}
    return frozenset(stops)


def revision(directory: Path) -> str:
    """Identity of a checkpoint's content: 12 hex digits over its configuration and weights."""
    sha = hashlib.sha256()
    names = ("config.json", "preprocessor_config.json", "tokenizer.json", "generation_config.json")
    for path in [directory / name for name in names] + sorted(directory.glob("*.safetensors")):
        if path.exists():
            with path.open("rb") as file:
                sha.update(hashlib.file_digest(file, "sha256").digest())
    return sha.hexdigest()[:12]


def load_vision(directory: Path, device: str, dtype: torch.dtype) -> nn.Module:
    """Load the vision tower alone.

    Raises:
        SetupError: `model_missing` or `model_unsupported`.
    """
    config = read_config(directory)
    with torch.device("meta"):
        tower = _VISION[config.model_type](config.vision_config)
    _fill(tower, directory, _VISION_PREFIXES, dtype)
    ready: nn.Module = _ready(tower, device)
    return ready


def load_language(directory: Path, device: str, dtype: torch.dtype) -> Language:
    """Load the language model and its head alone.

    Raises:
        SetupError: `model_missing` or `model_unsupported`.
    """
    config = read_config(directory)
    text = config.text_config
    with torch.device("meta"):
        model = _LANGUAGE[config.model_type](text)
        head = nn.Linear(text.hidden_size, text.vocab_size, bias=False)
    _fill(model, directory, _LANGUAGE_PREFIXES, dtype)
    if config.tie_word_embeddings:
        head.weight = model.embed_tokens.weight
    else:
        _fill(head, directory, ("lm_head.", "model.lm_head."), dtype)
    return Language(_ready(model, device), _ready(head, device), config)


def _ready(module: Any, device: str) -> Any:  # noqa: ANN401 - same type out as in
    return module.to(device).eval().requires_grad_(False)


def _fill(module: nn.Module, directory: Path, prefixes: Sequence[str], dtype: torch.dtype) -> None:
    """Read a module's tensors, by the first prefix under which each is found."""
    wanted = set(module.state_dict())
    found: dict[str, torch.Tensor] = {}
    with _tensors(directory) as index:
        for name in wanted:
            key = next((prefix + name for prefix in prefixes if prefix + name in index), None)
            if key is not None:
                found[name] = index[key].get_tensor(key).to(dtype)
    if missing := sorted(wanted - set(found)):
        message = (
            f"{directory}: {len(missing)} tensors are missing, the first is {missing[0]}; "
            "the checkpoint is incomplete, copy it again"
        )
        raise SetupError("model_missing", message)
    module.load_state_dict(found, assign=True)
    _rebuild_rotary(module)


def _rebuild_rotary(module: nn.Module) -> None:
    """Rotary frequencies are no weights: on the meta device they were never computed."""
    for name, child in list(module.named_modules()):
        if "inv_freq" in child._buffers:
            parent = module.get_submodule(name.rpartition(".")[0])
            setattr(parent, name.rpartition(".")[2], type(child)(child.config))


@contextmanager
def _tensors(directory: Path) -> Iterator[dict[str, Any]]:
    """Map each tensor's name to the open file that holds it; files open when first needed."""
    files = sorted(directory.glob("*.safetensors"))
    if not files:
        pickled = any(directory.glob("*.bin")) or any(directory.glob("*.pt"))
        remedy = "convert them to safetensors" if pickled else "copy the checkpoint again"
        reason = "only pickled weights" if pickled else "no *.safetensors file"
        message = f"{directory}: {reason}; {remedy}"
        raise SetupError("model_missing", message)
    handles = [safe_open(path, framework="pt") for path in files]
    yield {key: handle for handle in handles for key in handle.keys()}  # type: ignore[no-untyped-call]  # noqa: SIM118
