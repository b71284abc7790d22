"""Answers: what is asked about images, and what comes of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pipeline.vlm.row import Mask
from schemas.features import Features

FinishReason = Literal["stop", "length", "repetition"]


@dataclass(frozen=True)
class Prompt:
    """A question about a work item's images.

    Attributes:
        text: stands after the images.
        max_new_tokens: bound of the answer, at least 1.
        stop: strings that end the answer; they are cut off.
        tools: each tool on offer as JSON; calls stand in the answer, see `pipeline.vlm.tools`.
    """

    text: str
    max_new_tokens: int = 128
    stop: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()


@dataclass(frozen=True)
class Parameters:
    """How the tokens of an answer are chosen.

    Attributes:
        mask: changes the logits before a token is chosen.
    """

    mask: Mask | None = None


@dataclass(frozen=True)
class WorkItem:
    """Images or clips, encoded, and everything that is asked about them."""

    features: Sequence[Features]
    prompts: Sequence[Prompt]


@dataclass(frozen=True)
class Generation:
    """One answer.

    Attributes:
        text: without end token and stop string; a repeated tail is cut to one occurrence.
        tokens: as generated, without the end token.
        finish_reason: stop, length or repetition.
        prompt_tokens: tokens before the answer, visual ones included.
        visual_tokens: of all images.
        output_tokens: generated, the end token included.
        logprob: mean log probability of the generated tokens, nats.
        latency_us: from the prompt's submission to the end of its answer, microseconds.
    """

    text: str
    tokens: tuple[int, ...]
    finish_reason: FinishReason
    prompt_tokens: int
    visual_tokens: int
    output_tokens: int
    logprob: float
    latency_us: int
