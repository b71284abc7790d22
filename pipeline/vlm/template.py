"""Chat template: messages with vision parts as the text that Qwen2-VL was trained on.

The template that comes with the checkpoints drops parts that it does not know without a word;
here they are errors.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, get_args

from transformers import PreTrainedTokenizerBase

from pipeline.vlm.positions import Span, VisionBlock, spans_of
from pipeline.vlm.tools import tools_text
from schemas.errors import InputError

DEFAULT_SYSTEM: Final = "You are a helpful assistant."
VISION_END: Final = "<|vision_end|>"
IMAGE_PAD: Final = "<|image_pad|>"
VIDEO_PAD: Final = "<|video_pad|>"
CONTROL_TOKENS: Final = (
    *("<|im_start|>", "<|im_end|>", "<|endoftext|>"),
    *("<|vision_start|>", VISION_END, IMAGE_PAD, VIDEO_PAD),
)
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


def render(messages: Sequence[Message], tools: Sequence[str] = ()) -> str:
    """Text of a chat up to the assistant's next turn, one pad token an image or clip.

    Args:
        messages: the chat.
        tools: each tool on offer as JSON, named in the system message in Qwen's `nous` form.

    Raises:
        InputError: `bad_job`, for an unknown role, a part of an unknown kind, or text that holds
            control tokens.
    """
    if unknown := [turn.role for turn in messages if turn.role not in get_args(Role)]:
        message = f"unknown role {unknown[0]!r}; known are {', '.join(get_args(Role))}"
        raise InputError("bad_job", message)
    turns = list(messages)
    if not turns or turns[0].role != "system":
        turns.insert(0, Message("system", [Part("text", DEFAULT_SYSTEM)]))
    if tools:
        turns[0] = Message("system", [*turns[0].parts, Part("text", tools_text(tools))])
    text = "".join(
        f"<|im_start|>{turn.role}\n{''.join(map(_part, turn.parts))}<|im_end|>\n" for turn in turns
    )
    return text + "<|im_start|>assistant\n"


def tokenize(
    messages: Sequence[Message],
    blocks: Sequence[VisionBlock],
    tokenizer: PreTrainedTokenizerBase,
    merge_size: int = 2,
    tools: Sequence[str] = (),
) -> tuple[list[int], list[Span]]:
    """Token ids of a chat, one pad a visual token, and its runs of text and vision blocks.

    Args:
        messages: the chat; its image and video parts stand for `blocks`, in order.
        blocks: images and clips; a clip is one with `seconds_per_grid`.
        tokenizer: of the checkpoint.
        merge_size: patches merged on each side.
        tools: each tool on offer as JSON.

    Raises:
        InputError: `bad_job` as `render` does, `features_invalid` if parts and blocks differ.
    """
    image, video = pad_ids(tokenizer)
    ids: list[int] = tokenizer.encode(render(messages, tools), add_special_tokens=False)
    found = [token for token in ids if token in (image, video)]
    if found != [image if block.seconds_per_grid is None else video for block in blocks]:
        message = f"{len(blocks)} images and clips do not fit the {len(found)} parts of the chat"
        raise InputError("features_invalid", message)
    waiting = iter(blocks)
    expanded: list[int] = []
    for token in ids:
        visual = token in (image, video)
        expanded += [token] * (next(waiting).tokens(merge_size) if visual else 1)
    return expanded, spans_of(expanded, blocks, (image, video), merge_size)


def clip_question(text: str, fps: float) -> str:
    """A question on a clip that also gives its sampling rate, in frames a second.

    Positions of Qwen2-VL count temporal grids; without the rate no answer can be in seconds.
    """
    return f"The clip has {fps:g} frames per second. {text}"


def pad_ids(tokenizer: PreTrainedTokenizerBase) -> tuple[int, int]:
    """Token ids of the image and the video pad."""
    known: dict[str, int] = tokenizer.get_added_vocab()
    return known[IMAGE_PAD], known[VIDEO_PAD]


def _part(part: Part) -> str:
    if part.kind == "image":
        return f"<|vision_start|>{IMAGE_PAD}{VISION_END}"
    if part.kind == "video":
        return f"<|vision_start|>{VIDEO_PAD}{VISION_END}"
    if part.kind != "text":
        message = f"unknown part kind {part.kind!r}; known are text, image and video"
        raise InputError("bad_job", message)
    if found := [token for token in CONTROL_TOKENS if token in part.text]:
        message = f"the text holds the control token {found[0]}; remove it"
        raise InputError("bad_job", message)
    return part.text
