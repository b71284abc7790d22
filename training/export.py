"""Export: a run's weights as a checkpoint folder that the unmodified library class loads.

Use: `python -m training.export --run runs/tiny --to pipeline/vlm/tiny`.
"""

import argparse
import copy
import json
from pathlib import Path
from typing import Any, Final

import torch
from torch import nn
from transformers import PreTrainedTokenizerFast, Qwen2VLForConditionalGeneration

from training.canvas import CELL
from training.model import MEAN, STD, build_model
from training.tokens import build_tokenizer

STATE: Final = "state.pt"
"""A run's state, in its folder."""
MIN_PIXELS: Final = 4 * CELL * CELL
MAX_PIXELS: Final = 48 * CELL * CELL


def save_checkpoint(
    model: Qwen2VLForConditionalGeneration, tokenizer: PreTrainedTokenizerFast, folder: Path
) -> None:
    """Write weights in fp16, configuration, tokenizer and the processor's settings."""
    folder.mkdir(parents=True, exist_ok=True)
    half = copy.deepcopy(model)
    nn.Module.to(half, torch.float16)
    half.save_pretrained(folder)
    (folder / "model.safetensors").chmod(0o644)
    tokenizer.save_pretrained(folder)
    _update(folder / "tokenizer_config.json", {"tokenizer_class": "PreTrainedTokenizerFast"})
    generation = {
        "do_sample": False,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    _write(folder / "generation_config.json", generation)
    settings = {
        "image_processor_type": "Qwen2VLImageProcessor",
        "patch_size": 14,
        "merge_size": 2,
        "temporal_patch_size": 2,
        "min_pixels": MIN_PIXELS,
        "max_pixels": MAX_PIXELS,
        "image_mean": MEAN,
        "image_std": STD,
    }
    _write(folder / "preprocessor_config.json", settings)


def _update(path: Path, values: dict[str, Any]) -> None:
    _write(path, json.loads(path.read_text()) | values)


def _write(path: Path, values: dict[str, Any]) -> None:
    path.write_text(json.dumps(values, indent=2) + "\n")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--run", type=Path, required=True, help="folder of a training run")
    parser.add_argument("--to", type=Path, required=True, help="checkpoint folder to write")
    options = parser.parse_args()
    tokenizer = build_tokenizer()
    model = build_model(tokenizer)
    state = torch.load(options.run / STATE, weights_only=True, map_location="cpu")
    model.load_state_dict(state["model"])
    save_checkpoint(model, tokenizer, options.to)
    print(f"{options.to}: step {state['step']} of {options.run}")


if __name__ == "__main__":
    main()
