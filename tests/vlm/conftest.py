"""Random checkpoints of both families, a few hundred thousand parameters each."""

import json
from pathlib import Path

import pytest
import torch
from tokenizers import AddedToken, Tokenizer, decoders, models
from transformers import (
    PreTrainedTokenizerFast,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2VLConfig,
    Qwen2VLForConditionalGeneration,
)

SPECIAL = [
    *("<|endoftext|>", "<|im_start|>", "<|im_end|>"),
    *("<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"),
]
FAMILIES = {
    "qwen2_vl": (Qwen2VLConfig, Qwen2VLForConditionalGeneration),
    "qwen2_5_vl": (Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration),
}


torch.set_num_threads(1)  # models this small only lose by a second thread


def tokenizer() -> PreTrainedTokenizerFast:
    characters = ["\n", *map(chr, range(32, 127))]
    inner = Tokenizer(models.BPE(vocab={c: i for i, c in enumerate(characters)}, merges=[]))
    inner.decoder = decoders.Fuse()
    inner.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in SPECIAL])
    return PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="<|im_end|>")


def build(family: str, folder: Path) -> Path:
    torch.manual_seed(7)
    words = tokenizer()
    ids = {text: words.convert_tokens_to_ids(text) for text in SPECIAL}
    configuration, model_class = FAMILIES[family]
    vision = {"depth": 4, "num_heads": 2, "patch_size": 14}
    if family == "qwen2_vl":
        vision |= {"embed_dim": 32, "hidden_size": 48, "mlp_ratio": 2}
    else:
        vision |= {
            "hidden_size": 32,
            "out_hidden_size": 48,
            "intermediate_size": 64,
            "fullatt_block_indexes": [1, 3],
            "window_size": 56,
            "tokens_per_second": 2,
        }
    rope = {"rope_type": "default", "rope_theta": 1000.0, "mrope_section": [2, 2, 2]}
    text = {
        "hidden_size": 48,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "vocab_size": len(words),
        "rope_parameters": rope,
        "initializer_range": 0.3,
        "eos_token_id": ids["<|im_end|>"],
        "bos_token_id": None,
        "pad_token_id": ids["<|endoftext|>"],
    }
    config = configuration(
        text_config=text,
        vision_config=vision | {"initializer_range": 0.3},
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
        tie_word_embeddings=False,
    )
    model = model_class(config)
    with torch.no_grad():  # a logit of 0 is never the greatest, so that no pad is generated
        for pad in ("<|image_pad|>", "<|video_pad|>"):
            model.lm_head.weight[ids[pad]] = 0
    model.generation_config.eos_token_id = ids["<|im_end|>"]
    model.generation_config.pad_token_id = ids["<|endoftext|>"]
    model.save_pretrained(folder)
    words.save_pretrained(folder)
    settings = {
        "patch_size": 14,
        "merge_size": 2,
        "temporal_patch_size": 2,
        "min_pixels": 4 * 784,
        "max_pixels": 64 * 784,
        "image_mean": [0.48145466, 0.4578275, 0.40821073],
        "image_std": [0.26862954, 0.26130258, 0.27577711],
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(settings))
    return folder


@pytest.fixture(scope="session", params=sorted(FAMILIES))
def checkpoint(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(request.param, tmp_path_factory.mktemp(request.param))
