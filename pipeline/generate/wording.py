"""Wording: a prompt about images as the token ids of a checkpoint, and tokens as an answer."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.generate.answers import FinishReason, Generation, Prompt
from pipeline.vlm.checkpoint import read_tokenizer, stop_tokens
from pipeline.vlm.positions import Span, VisionBlock
from pipeline.vlm.repetition import repeated_tail
from pipeline.vlm.template import Message, Part, pad_ids, tokenize
from schemas.errors import InputError
from schemas.features import Features


@dataclass(frozen=True)
class Question:
    """A prompt about images, checked, as the model reads it.

    Attributes:
        features: of the images and clips, as many rows as there are pads of theirs.
        prompt: what it came from.
        ids: token ids, one pad a visual token.
        spans: runs of text and vision blocks among them.
    """

    features: Sequence[Features]
    prompt: Prompt
    ids: Sequence[int]
    spans: Sequence[Span]

    @property
    def visual_tokens(self) -> int:
        """Of all images and clips."""
        return sum(len(one.tokens) for one in self.features)


class Wording:
    """How a checkpoint is asked, and how its answers are read; the same for all decoders."""

    def __init__(self, directory: Path, config: Any) -> None:  # noqa: ANN401 - the library's class
        """Read the tokenizer of a checkpoint.

        Raises:
            SetupError: `model_missing`.
        """
        self._tokenizer = read_tokenizer(directory)
        self.stops = stop_tokens(directory, self._tokenizer)
        """Tokens that end an answer."""
        self.pads = pad_ids(self._tokenizer)
        """The image's and the video's."""
        self.merge: int = config.vision_config.spatial_merge_size
        """Patches that are merged on each side."""
        self._width: int = config.text_config.hidden_size
        self._window: int = config.text_config.max_position_embeddings

    def question(self, features: Sequence[Features], prompt: Prompt) -> Question:
        """A prompt about images or clips.

        Raises:
            InputError: `features_invalid`, if features are of another model; `bad_job`, for a
                prompt that holds control tokens; `too_large`, for one beyond the model's window.
        """
        blocks = [VisionBlock(*one.grid, one.seconds_per_grid) for one in features]
        for one, block in zip(features, blocks, strict=True):
            self._check(one, block)
        kinds = ["image" if one.seconds_per_grid is None else "video" for one in features]
        chat = Message("user", [*map(Part, kinds), Part("text", prompt.text)])
        ids, spans = tokenize([chat], blocks, self._tokenizer, self.merge, prompt.tools)
        if len(ids) + prompt.max_new_tokens > self._window:
            message = (
                f"a prompt of {len(ids)} tokens and an answer of {prompt.max_new_tokens} exceed "
                f"the model's {self._window}; lower the picture's size or the answer's length"
            )
            raise InputError("too_large", message)
        return Question(features, prompt, ids, spans)

    def finish(self, prompt: Prompt, tokens: Sequence[int]) -> FinishReason | None:
        """Why an answer ends with its last token; None if it goes on."""
        if tokens[-1] in self.stops:
            return "stop"
        if prompt.stop and any(stop in self._text(tokens) for stop in prompt.stop):
            return "stop"
        if repeated_tail(tokens):
            return "repetition"
        return "length" if len(tokens) >= prompt.max_new_tokens else None

    def generation(
        self, question: Question, given: Sequence[int], logprob: float, seconds: float
    ) -> Generation:
        """The answer.

        Args:
            question: that was asked.
            given: tokens that were generated, with the last one of which the answer ends.
            logprob: their sum, nats.
            seconds: that it took.
        """
        prompt = question.prompt
        reason = self.finish(prompt, given)
        assert reason is not None
        tokens = given[:-1] if given[-1] in self.stops else given
        text = self._text(tokens[: len(tokens) - repeated_tail(tokens)])
        for stop in prompt.stop:
            text = text.partition(stop)[0]
        return Generation(
            text=text.strip(),
            tokens=tuple(tokens),
            finish_reason=reason,
            prompt_tokens=len(question.ids),
            visual_tokens=question.visual_tokens,
            output_tokens=len(given),
            logprob=logprob / len(given),
            latency_us=round(seconds * 1e6),
        )

    def _check(self, features: Features, block: VisionBlock) -> None:
        rows, width = features.tokens.shape
        if width != self._width:
            message = f"features of width {width}: the model's is {self._width}"
            raise InputError("features_invalid", message)
        if rows != block.tokens(self.merge):
            message = (
                f"{rows} visual tokens for the grid {features.grid}: its sides are no multiples "
                f"of {self.merge}"
            )
            raise InputError("features_invalid", message)

    def _text(self, tokens: Sequence[int]) -> str:
        return str(self._tokenizer.decode(list(tokens), skip_special_tokens=True))


def with_single_pads(question: Question, merge: int) -> Iterator[int]:
    """Token ids with one pad an image or clip, whatever its visual tokens."""
    start = 0
    for span in question.spans:
        count = span if isinstance(span, int) else span.tokens(merge)
        yield from question.ids[start : start + (count if isinstance(span, int) else 1)]
        start += count
