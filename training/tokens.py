"""Tokens: a character tokenizer with Qwen2's special tokens under their real names."""

from typing import Final

from tokenizers import AddedToken, Tokenizer, decoders, models
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

SPECIAL: Final = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|object_ref_start|>",
    "<|object_ref_end|>",
    "<|box_start|>",
    "<|box_end|>",
    "<|quad_start|>",
    "<|quad_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|vision_pad|>",
    "<|image_pad|>",
    "<|video_pad|>",
)
SENTENCES: Final = (
    "You are a helpful assistant.",
    "system\n",
    "user\n",
    "assistant\n",
    "Read the text.",
    "Describe the picture.",
    "What colour is the shape?",
    "What shape is it?",
    "Is there ",
)
"""What stands in every prompt is one token each, so that prompts stay short."""


def token_id(tokenizer: PreTrainedTokenizerBase, token: str) -> int:
    """Id of one token."""
    return int(str(tokenizer.convert_tokens_to_ids(token)))


def build_tokenizer() -> PreTrainedTokenizerFast:
    """Build the tokenizer: newline and printable ASCII one by one, `<unk>` for all else."""
    characters = ["\n", *(chr(code) for code in range(32, 127))]
    vocabulary = {"<unk>": 0} | {text: index + 1 for index, text in enumerate(characters)}
    inner = Tokenizer(models.BPE(vocab=vocabulary, merges=[], unk_token="<unk>"))
    inner.decoder = decoders.Fuse()
    inner.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in SPECIAL])
    inner.add_tokens([AddedToken(text, normalized=False) for text in SENTENCES])
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=inner,
        unk_token="<unk>",
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        clean_up_tokenization_spaces=False,
    )
