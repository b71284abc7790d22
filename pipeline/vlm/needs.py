"""Needs: what a checkpoint takes of a device's memory, known before any weight is read."""

from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any, Final

from pipeline.vlm.checkpoint import empty_language, empty_vision, is_quantised, read_config
from pipeline.vlm.device import numbers
from pipeline.vlm.facts import read_processor

_PAIR: Final = 2  # a key and a value


@dataclass(frozen=True)
class Needs:
    """Numbers, to be multiplied by the bytes of one.

    Attributes:
        vision: of the tower.
        language: of the decoder, its embedding and its head.
        cell: that a token takes of the cache.
        longest: tokens of the model's window.
        visual_tokens: of the largest picture that its preprocessing makes.
        is_quantised: whether its weights are kept in fewer bits, which vLLM alone can run.
    """

    vision: int
    language: int
    cell: int
    longest: int
    visual_tokens: int
    is_quantised: bool


def needs(directory: Path) -> Needs:
    """What a checkpoint needs, by its configuration alone.

    Raises:
        SetupError: `model_missing` or `model_unsupported`.
    """
    config, processor = read_config(directory), read_processor(directory)
    return Needs(
        vision=numbers(empty_vision(config)),
        language=numbers(*empty_language(config)),
        cell=cell(config),
        longest=config.text_config.max_position_embeddings,
        visual_tokens=ceil(processor.max_pixels / (processor.patch * processor.merge) ** 2),
        is_quantised=is_quantised(config),
    )


def cell(config: Any) -> int:  # noqa: ANN401 - the library's own class per family
    """Numbers that a token takes of the cache: a key and a value of each layer."""
    text = config.text_config
    width = text.hidden_size // text.num_attention_heads
    return int(_PAIR * text.num_hidden_layers * text.num_key_value_heads * width)
