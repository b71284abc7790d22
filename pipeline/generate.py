"""Generate: answers to all prompts of an image by the language model.

One work item is an image (or several, or a clip) with all its prompts, image first. What its
prompts have in common is prefilled once, and its key-value cache is forked for every prompt;
items of similar length are decoded as one batch. The tokens are those of one plain greedy
`generate` a prompt.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, Literal

import numpy as np
import torch
from torch import Tensor

from pipeline.vlm.checkpoint import default_dtype, load_language, read_tokenizer, stop_tokens
from pipeline.vlm.language import Positions, Prefix, Row, decode
from pipeline.vlm.positions import VisionBlock, rope_positions
from pipeline.vlm.repetition import repeated_tail
from pipeline.vlm.template import Message, Part, pad_ids, tokenize
from schemas.errors import InputError
from schemas.features import Features

FinishReason = Literal["stop", "length", "repetition"]
_BATCH_ROWS: Final = 64
_BATCH_TOKENS: Final = 65536  # of the key-value cache, answers included
_PADDING: Final = 1.25  # longest prefix of a batch over its shortest


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
        latency_us: from the start of the batch to the end of this answer, microseconds.
    """

    text: str
    tokens: tuple[int, ...]
    finish_reason: FinishReason
    prompt_tokens: int
    visual_tokens: int
    output_tokens: int
    logprob: float
    latency_us: int


@dataclass(frozen=True)
class _Question:
    """A prompt as tokens: ids, positions `(3, n)` and the position of the answer."""

    prompt: Prompt
    ids: list[int]
    positions: Positions
    following: int


@dataclass(frozen=True)
class _Job:
    """A work item as tokens; its questions share `shared` ids, all visual tokens among them."""

    index: int
    features: Sequence[Features]
    questions: Sequence[_Question]
    shared: int

    @property
    def cells(self) -> int:
        """Upper bound of the tokens that its rows will keep in the cache."""
        longest = max(len(one.ids) + one.prompt.max_new_tokens for one in self.questions)
        return len(self.questions) * longest


class Generator:
    """The language model of a checkpoint; holds no weight of the vision tower.

    One thread at a time.
    """

    def __init__(
        self, directory: Path, *, device: str = "cpu", dtype: torch.dtype | None = None
    ) -> None:
        """Load the model and the tokenizer.

        Args:
            directory: of the checkpoint.
            device: of torch.
            dtype: by default bfloat16 on a GPU and float32 on a CPU.

        Raises:
            SetupError: `device_missing`, `model_missing` or `model_unsupported`.
        """
        self._dtype = dtype or default_dtype(device)
        self._device = device
        self._language = load_language(directory, device, self._dtype)
        self._tokenizer = read_tokenizer(directory)
        self._stops = stop_tokens(directory, self._tokenizer)
        config = self._language.config
        self._window: int = config.text_config.max_position_embeddings
        self._merge: int = config.vision_config.spatial_merge_size
        self._rate: float | None = getattr(config.vision_config, "tokens_per_second", None)

    def generate(self, items: Sequence[WorkItem]) -> list[list[Generation]]:
        """Answer every prompt of every item, greedily.

        Returns:
            For each item, one generation a prompt, in their order.

        Raises:
            InputError: `features_invalid`, if features are of another model; `bad_job`, for a
                prompt that holds control tokens; `too_large`, for one beyond the model's window.
        """
        jobs = [self._job(index, item) for index, item in enumerate(items) if item.prompts]
        results: list[list[Generation]] = [[] for _ in items]
        for batch in _batches(jobs):
            self._answer(batch, results)
        return results

    def _job(self, index: int, item: WorkItem) -> _Job:
        width = self._language.embed.embedding_dim
        if other := [one for one in item.features if one.tokens.shape[1] != width]:
            message = f"features of width {other[0].tokens.shape[1]}: the model's is {width}"
            raise InputError("features_invalid", message)
        questions = [self._question(item.features, prompt) for prompt in item.prompts]
        shared = _common([one.ids for one in questions])
        if len(questions) == 1:  # nothing to share; equal cuts let other items join the batch
            shared = _after_images(questions[0].ids, pad_ids(self._tokenizer))
        return _Job(index, item.features, questions, shared)

    def _question(self, features: Sequence[Features], prompt: Prompt) -> _Question:
        blocks = [VisionBlock(*one.grid, one.seconds_per_grid) for one in features]
        kinds = ["image" if one.seconds_per_grid is None else "video" for one in features]
        chat = Message("user", [*map(Part, kinds), Part("text", prompt.text)])
        ids, spans = tokenize([chat], blocks, self._tokenizer, self._merge, prompt.tools)
        if len(ids) + prompt.max_new_tokens > self._window:
            message = (
                f"a prompt of {len(ids)} tokens and an answer of {prompt.max_new_tokens} exceed "
                f"the model's {self._window}; lower the picture's size or the answer's length"
            )
            raise InputError("too_large", message)
        positions, following = rope_positions(
            spans, tokens_per_second=self._rate, merge_size=self._merge
        )
        return _Question(prompt, ids, positions, following)

    def _answer(self, jobs: Sequence[_Job], results: list[list[Generation]]) -> None:
        started = time.perf_counter()
        rows = [
            Row(
                prefix=place,
                suffix=question.ids[job.shared :],
                positions=question.positions[:, job.shared :],
                following=question.following,
                ended=partial(self._ended, question.prompt),
            )
            for place, job in enumerate(jobs)
            for question in job.questions
        ]
        decode(self._language, [self._prefix(job) for job in jobs], rows)
        answered = iter(rows)
        for job in jobs:
            results[job.index] = [
                self._generation(next(answered), question, job.features, started)
                for question in job.questions
            ]

    def _prefix(self, job: _Job) -> Prefix:
        """Embed what the questions share, with the visual tokens in their places."""
        first = job.questions[0]
        ids = torch.tensor(first.ids[: job.shared], dtype=torch.long, device=self._device)
        with torch.inference_mode():
            embedded: Tensor = self._language.embed(ids)
            if job.features:
                visual = np.concatenate([one.tokens for one in job.features])
                pads = torch.tensor(pad_ids(self._tokenizer), device=self._device)
                tokens = torch.from_numpy(visual).to(self._device, self._dtype)
                embedded[torch.isin(ids, pads)] = tokens
        return Prefix(embedded, first.positions[:, : job.shared])

    def _finish(self, row: Row, prompt: Prompt) -> FinishReason | None:
        """Why a row ends with its last token; None if it goes on."""
        if row.tokens[-1] in self._stops:
            return "stop"
        if prompt.stop and any(stop in self._text(row.tokens) for stop in prompt.stop):
            return "stop"
        if repeated_tail(row.tokens):
            return "repetition"
        return "length" if len(row.tokens) >= prompt.max_new_tokens else None

    def _ended(self, prompt: Prompt, row: Row) -> bool:
        return self._finish(row, prompt) is not None

    def _text(self, tokens: Sequence[int]) -> str:
        return str(self._tokenizer.decode(list(tokens), skip_special_tokens=True))

    def _generation(
        self, row: Row, question: _Question, features: Sequence[Features], started: float
    ) -> Generation:
        reason = self._finish(row, question.prompt)
        assert reason is not None
        tokens = row.tokens[:-1] if row.tokens[-1] in self._stops else row.tokens
        text = self._text(tokens[: len(tokens) - repeated_tail(tokens)])
        for stop in question.prompt.stop:
            text = text.partition(stop)[0]
        return Generation(
            text=text.strip(),
            tokens=tuple(tokens),
            finish_reason=reason,
            prompt_tokens=len(question.ids),
            visual_tokens=sum(len(one.tokens) for one in features),
            output_tokens=len(row.tokens),
            logprob=row.logprob / len(row.tokens),
            latency_us=round((row.finished_at - started) * 1e6),
        )


def _common(sequences: Sequence[Sequence[int]]) -> int:
    """Length of the common prefix; at least the last token of each stays out of it."""
    for place, tokens in enumerate(zip(*sequences, strict=False)):
        if len(set(tokens)) > 1:
            return place
    return min(map(len, sequences)) - 1


def _after_images(ids: Sequence[int], pads: Sequence[int]) -> int:
    """Length of the prompt up to its last visual token."""
    return max((place + 1 for place, token in enumerate(ids) if token in pads), default=0)


def _batches(jobs: Sequence[_Job]) -> Iterator[list[_Job]]:
    """Cut jobs into batches of similar prefixes, bounded in rows and in cache tokens."""
    batch: list[_Job] = []
    for job in sorted(jobs, key=lambda one: one.shared):
        rows = sum(len(one.questions) for one in [*batch, job])
        cells = sum(one.cells for one in [*batch, job])
        full = rows > _BATCH_ROWS or cells > _BATCH_TOKENS
        if batch and (full or job.shared > _PADDING * batch[0].shared):
            yield batch
            batch = []
        batch.append(job)
    if batch:
        yield batch
