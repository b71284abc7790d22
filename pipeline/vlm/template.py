"""Chat template: messages with vision parts as the text that Qwen2-VL was trained on.

The template that comes with the checkpoints drops parts that it does not know without a word;
here they are errors.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from schemas.errors import InputError

DEFAULT_SYSTEM: Final = "You are a helpful assistant."
VISION_END: Final = "<|vision_end|>"
IMAGE_PAD: Final = "<|image_pad|>"
VIDEO_PAD: Final = "<|video_pad|>"
_RESERVED: Final = ("<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>")
Role = Literal["system", "user", "assistant"]


@dataclass(frozen=True)
class Part:
    """A part of a message: kind "text", or the place of an "image" or a "video"."""

    kind: str
    text: str = ""


@dataclass(frozen=True)
class Message:
    """One turn of a chat."""

    role: Role
    parts: Sequence[Part]


def render(messages: Sequence[Message]) -> str:
    """Text of a chat up to the assistant's next turn, one pad token an image or clip.

    Raises:
        InputError: `bad_job`, for a part of an unknown kind or text that holds control tokens.
    """
    turns = list(messages)
    if not turns or turns[0].role != "system":
        turns.insert(0, Message("system", [Part("text", DEFAULT_SYSTEM)]))
    text = "".join(
        f"<|im_start|>{turn.role}\n{''.join(map(_part, turn.parts))}<|im_end|>\n" for turn in turns
    )
    return text + "<|im_start|>assistant\n"


def _part(part: Part) -> str:
    if part.kind == "image":
        return f"<|vision_start|>{IMAGE_PAD}{VISION_END}"
    if part.kind == "video":
        return f"<|vision_start|>{VIDEO_PAD}{VISION_END}"
    if part.kind != "text":
        message = f"unknown part kind {part.kind!r}; known are text, image and video"
        raise InputError("bad_job", message)
    if found := [token for token in (*_RESERVED, IMAGE_PAD, VIDEO_PAD) if token in part.text]:
        message = f"the text holds the control token {found[0]}; remove it"
        raise InputError("bad_job", message)
    return part.text
