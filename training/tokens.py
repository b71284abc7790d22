"""Tokens: a character tokenizer with Qwen2's special tokens under their real names.

Characters of twelve languages are one token each, all else is written in bytes. What stands in
every prompt is one token, so that prompts stay short.
"""

from typing import Final

from tokenizers import AddedToken, Tokenizer, decoders, models
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

from training.phrases import SENTENCES
from training.scripts import characters

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
MARKS: Final = ("<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>")
"""Added, but no special tokens: they stay in a decoded answer."""


def token_id(tokenizer: PreTrainedTokenizerBase, token: str) -> int:
    """Id of one token."""
    return int(str(tokenizer.convert_tokens_to_ids(token)))


def build_tokenizer() -> PreTrainedTokenizerFast:
    """Build the tokenizer; any text comes back from its tokens."""
    texts = ["<unk>", "\n", *(chr(code) for code in range(32, 127)), *characters()]
    texts += [f"<0x{byte:02X}>" for byte in range(256)]
    vocabulary = {text: index for index, text in enumerate(texts)}
    inner = Tokenizer(
        models.BPE(vocab=vocabulary, merges=[], unk_token="<unk>", byte_fallback=True)
    )
    inner.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Fuse()])
    inner.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in SPECIAL])
    inner.add_tokens([AddedToken(text, normalized=False) for text in (*MARKS, *SENTENCES)])
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=inner,
        unk_token="<unk>",
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        clean_up_tokenization_spaces=False,
    )
