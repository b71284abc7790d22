"""Checkpoints: a Qwen2-VL or Qwen2.5-VL directory, loaded as two halves.

Each half is built empty and filled with its own tensors alone; the other half's are never read.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

import torch
from torch import nn
from transformers import AutoConfig, AutoTokenizer, GenerationConfig, PreTrainedTokenizerBase
from transformers.models.qwen2_5_vl import modeling_qwen2_5_vl as qwen2_5
from transformers.models.qwen2_vl import modeling_qwen2_vl as qwen2

from pipeline.vlm.attention import PACKED
from pipeline.vlm.device import check_device, check_room, numbers
from pipeline.vlm.facts import read_family, unreadable
from pipeline.vlm.template import CONTROL_TOKENS
from pipeline.vlm.varlen import tower_attention
from pipeline.vlm.weights import fill
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
    read_family(directory)
    try:
        return AutoConfig.from_pretrained(directory, local_files_only=True)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise unreadable(directory / "config.json", error) from error


def read_tokenizer(directory: Path) -> PreTrainedTokenizerBase:
    """The checkpoint's own tokenizer, with all control tokens of the chat template.

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
    known = tokenizer.get_added_vocab()
    if absent := [token for token in CONTROL_TOKENS if token not in known]:
        message = f"{directory}: the tokenizer lacks {absent[0]}; copy tokenizer.json again"
        raise SetupError("model_missing", message)
    return tokenizer


def stop_tokens(directory: Path, tokenizer: PreTrainedTokenizerBase) -> frozenset[int]:
    """Token ids that end an answer: of `generation_config.json`, and the end of a turn."""
    stops: set[int] = {tokenizer.get_added_vocab()["<|im_end|>"]}
    if (directory / "generation_config.json").exists():
        given = GenerationConfig.from_pretrained(directory).eos_token_id
        stops |= set(given if isinstance(given, list) else [given]) - {None}
    return frozenset(stops)


def is_quantised(config: Any) -> bool:  # noqa: ANN401 - the library's own class per family
    """Whether weights are kept in fewer bits, such as AWQ, GPTQ or FP8."""
    return bool(getattr(config, "quantization_config", None))


def load_vision(directory: Path, device: str, dtype: torch.dtype) -> nn.Module:
    """Load the vision tower alone.

    Raises:
        SetupError: `device_missing`, `device_full`, `model_missing` or `model_unsupported`.
    """
    check_device(device)
    tower = empty_vision(read_config(directory))
    # Told before, the library would look for a kernel of this name on a hub.
    cast("Any", tower).config._attn_implementation = tower_attention(device, dtype)
    check_room(directory, [tower], device, dtype)
    fill(tower, directory, _VISION_PREFIXES, dtype, device)
    ready: nn.Module = _ready(tower, device)
    return ready


def load_language(directory: Path, device: str, dtype: torch.dtype) -> Language:
    """Load the language model and its head alone.

    Raises:
        SetupError: `device_missing`, `device_full`, `model_missing` or `model_unsupported`.
    """
    check_device(device)
    config = read_config(directory)
    if is_quantised(config):
        method = config.quantization_config.get("quant_method", "an unknown method")
        message = (
            f"{directory}: its weights are quantised ({method}), which vLLM alone can run: give "
            "serve or up --engine vllm"
        )
        raise SetupError("model_unsupported", message)
    text = config.text_config
    if "sliding_attention" in text.layer_types:
        message = f"{directory}: layers with a sliding window, which reelpage does not know"
        raise SetupError("model_unsupported", message)
    text._attn_implementation = PACKED
    model, *heads = empty_language(config)
    check_room(directory, [model, *heads], device, dtype)
    fill(model, directory, _LANGUAGE_PREFIXES, dtype, device)
    for head in heads:
        fill(head, directory, ("lm_head.", "model.lm_head."), dtype, device)
    return Language(_ready(model, device), _ready(_head(model, heads), device), config)


def empty_vision(config: Any) -> nn.Module:  # noqa: ANN401 - the library's own class per family
    """The vision tower without its weights."""
    with torch.device("meta"):
        tower: nn.Module = _VISION[config.model_type](config.vision_config)
    return tower


def empty_language(config: Any) -> list[nn.Module]:  # noqa: ANN401 - the library's own class
    """The decoder without its weights, and its head, if that is not its embedding again."""
    text = config.text_config
    with torch.device("meta"):
        model = _LANGUAGE[config.model_type](text)
        head = nn.Linear(text.hidden_size, text.vocab_size, bias=False)
    return [model] if config.tie_word_embeddings else [model, head]


def _head(model: Any, heads: Sequence[nn.Module]) -> nn.Linear:  # noqa: ANN401 - as above
    if heads:
        return cast("nn.Linear", heads[0])
    embedding = model.embed_tokens.weight
    with torch.device("meta"):
        head = nn.Linear(embedding.shape[1], embedding.shape[0], bias=False)
    head.weight = embedding
    return head


def parameters(directory: Path) -> tuple[int, int]:
    """Numbers that every token is multiplied by: of the tower, and of the decoder with its head.

    Raises:
        SetupError: `model_missing` or `model_unsupported`.
    """
    config = read_config(directory)
    text = config.text_config
    layers = cast("nn.Module", empty_language(config)[0].layers)
    head = text.hidden_size * text.vocab_size
    return numbers(empty_vision(config)), numbers(layers) + head


def _ready(module: Any, device: str) -> Any:  # noqa: ANN401 - same type out as in
    return module.to(device).eval().requires_grad_(False)
