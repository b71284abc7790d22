"""Checkpoints to measure with: none of them ends an answer before it has the asked-for length."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import torch
from transformers import Qwen2VLConfig, Qwen2VLForConditionalGeneration

from benchmarks.common import ROOT

_SHIPPED: Final = ROOT / "pipeline" / "vlm" / "tiny"
_ENDS: Final = ("eos_token_id", "bos_token_id")
_TEXT: Final = {
    "hidden_size": 768,
    "intermediate_size": 2048,
    "num_hidden_layers": 12,
    "layer_types": ["full_attention"] * 12,
    "num_attention_heads": 12,
    "num_key_value_heads": 4,
    "initializer_range": 0.05,
    "rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [8, 12, 12]},
}
_VISION: Final = {
    "depth": 12,
    "embed_dim": 512,
    "num_heads": 8,
    "hidden_size": 768,
    "initializer_range": 0.05,
}
_NO_TEXT: Final = {
    "hidden_size": 32,
    "intermediate_size": 32,
    "num_hidden_layers": 1,
    "layer_types": ["full_attention"],
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [2, 3, 3]},
}
_NO_VISION: Final = {"depth": 1, "embed_dim": 32, "num_heads": 2, "hidden_size": 32}
_MOST_PIXELS: Final = 1280 * 784


def shipped(folder: Path) -> Path:
    """The shipped model of 5 M parameters."""
    load: Any = Qwen2VLForConditionalGeneration.from_pretrained
    return _save(load(_SHIPPED, dtype=torch.float32), folder / "shipped")


def random(folder: Path) -> Path:
    """A random model of 123 M parameters."""
    return _save(_built(_TEXT, _VISION), folder / "random")


def null(folder: Path) -> Path:
    """A model of next to nothing, for measuring what is around one."""
    return _save(_built(_NO_TEXT, _NO_VISION), folder / "null")


def _built(text: Mapping[str, Any], vision: Mapping[str, Any]) -> Any:  # noqa: ANN401
    config = json.loads((_SHIPPED / "config.json").read_text())
    config["text_config"] |= text
    config["vision_config"] |= vision
    torch.manual_seed(0)
    build: Any = Qwen2VLForConditionalGeneration
    return build(Qwen2VLConfig.from_dict(config))


def _save(model: Any, folder: Path) -> Path:  # noqa: ANN401 - the library's class
    """With the tokenizer of the shipped one; a logit of 0 is never the greatest."""
    with torch.no_grad():
        for end in _ENDS:
            model.lm_head.weight[getattr(model.config.text_config, end)] = 0
    model.save_pretrained(folder)
    for path in _SHIPPED.glob("*.json"):
        if path.name != "config.json":
            shutil.copy(path, folder)
    path = folder / "preprocessor_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"max_pixels": _MOST_PIXELS}))
    return folder
