"""Generate: answers to all prompts of an image by the language model.

One work item is an image (or several, or a clip) with all its prompts, image first. The common
prefix is prefilled once; its key-value cache is forked for every prompt, and items of equal
prefix length are decoded as one batch. The tokens are those of one plain greedy `generate` a
prompt.
"""

import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

import numpy as np
import torch
from torch import Tensor
from transformers import DynamicCache

from pipeline.vlm.checkpoint import load_language, read_tokenizer, stop_tokens
from pipeline.vlm.positions import Span, VisionBlock, rope_positions
from pipeline.vlm.repetition import repeated_tail
from pipeline.vlm.template import IMAGE_PAD, VIDEO_PAD, VISION_END, Message, Part, render
from schemas.features import Features

FinishReason = Literal["stop", "length", "repetition"]
_BATCH_ROWS: Final = 64


@dataclass(frozen=True)
class Prompt:
    """A question about a work item's images.

    Attributes:
        text: stands after the images.
        max_new_tokens: bound of the answer.
    """

    text: str
    max_new_tokens: int = 128


@dataclass(frozen=True)
class WorkItem:
    """Images or clips, encoded, and everything that is asked about them."""

    features: Sequence[Features]
    prompts: Sequence[Prompt]


@dataclass(frozen=True)
class Generation:
    """One answer.

    Attributes:
        text: without the end token; a repeated tail is cut to one occurrence.
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


@dataclass
class _Row:
    """A prompt that is being answered."""

    item: int
    prompt: Prompt
    suffix: list[int]
    following: int
    tokens: list[int] = field(default_factory=list)
    logprob: float = 0.0
    finish: FinishReason | None = None
    ended: float = 0.0


@dataclass(frozen=True)
class _Prefix:
    embedded: Tensor
    positions: np.ndarray[tuple[int, ...], np.dtype[np.int64]]
    following: int
    visual: int


class Generator:
    """The language model of a checkpoint; holds no weight of the vision tower."""

    def __init__(
        self, directory: Path, *, device: str = "cpu", dtype: torch.dtype = torch.float32
    ) -> None:
        """Load the model and the tokenizer.

        Raises:
            SetupError: `model_missing` or `model_unsupported`.
        """
        self._language = load_language(directory, device, dtype)
        self._tokenizer = read_tokenizer(directory)
        self._stops = stop_tokens(directory, self._tokenizer)
        self._device, self._dtype = device, dtype
        vision = self._language.config.vision_config
        self._merge = vision.spatial_merge_size
        self._rate = getattr(vision, "tokens_per_second", None)

    def generate(self, items: Sequence[WorkItem]) -> list[list[Generation]]:
        """Answer every prompt of every item, greedily.

        Returns:
            For each item, one generation a prompt, in their order.
        """
        groups: dict[tuple[int, int], list[int]] = defaultdict(list)
        prefixes: list[_Prefix] = []
        suffixes: list[list[list[int]]] = []
        with torch.inference_mode():
            for index, item in enumerate(items):
                before, after = self._tokens(item)
                prefixes.append(self._prefix(before, item.features))
                suffixes.append(after)
                length = prefixes[-1].embedded.shape[0]
                groups[length, max(1, len(item.prompts))].append(index)
            results: dict[int, list[Generation]] = {}
            for (_, prompts), members in groups.items():
                step = max(1, _BATCH_ROWS // prompts)
                for start in range(0, len(members), step):
                    batch = members[start : start + step]
                    results |= self._answer(items, prefixes, suffixes, batch)
        return [results[index] for index in range(len(items))]

    def _tokens(self, item: WorkItem) -> tuple[list[int], list[list[int]]]:
        """Token ids of the common prefix, one pad an image, and of each prompt's suffix."""
        kinds = ["image" if one.seconds_per_grid is None else "video" for one in item.features]
        prefix, suffixes = "", []
        for prompt in item.prompts or [Prompt("")]:
            parts = [*(Part(kind) for kind in kinds), Part("text", prompt.text)]
            text = render([Message("user", parts)])
            prefix, mark, suffix = text.rpartition(VISION_END)
            prefix += mark
            suffixes.append(self._encode(suffix))
        return self._encode(prefix), suffixes[: len(item.prompts)]

    def _encode(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False)
        return ids

    def _prefix(self, ids: Sequence[int], features: Sequence[Features]) -> _Prefix:
        """Embed the prefix with the visual tokens in their places, and compute positions."""
        pads = {self._tokenizer.convert_tokens_to_ids(pad) for pad in (IMAGE_PAD, VIDEO_PAD)}
        embed = self._language.embed
        waiting = iter(features)
        spans: list[Span] = []
        parts: list[Tensor] = []
        text: list[int] = []
        for token in [*ids, None]:
            if token is not None and token not in pads:
                text.append(token)
                continue
            if text:
                spans.append(len(text))
                parts.append(embed(torch.tensor(text, device=self._device)))
                text = []
            if token is not None:
                one = next(waiting)
                spans.append(VisionBlock(*one.grid, one.seconds_per_grid))
                parts.append(torch.from_numpy(one.tokens).to(self._device, self._dtype))
        positions, following = rope_positions(
            spans, tokens_per_second=self._rate, merge_size=self._merge
        )
        visual = sum(len(one.tokens) for one in features)
        return _Prefix(torch.cat(parts), positions, following, visual)

    def _answer(
        self,
        items: Sequence[WorkItem],
        prefixes: Sequence[_Prefix],
        suffixes: Sequence[Sequence[list[int]]],
        batch: Sequence[int],
    ) -> dict[int, list[Generation]]:
        """Answer items whose prefixes have equal length and that have equally many prompts."""
        started = time.perf_counter()
        rows = [
            _Row(index, prompt, suffix, prefixes[index].following)
            for index in batch
            for prompt, suffix in zip(items[index].prompts, suffixes[index], strict=True)
        ]
        if rows:
            cache = self._prefill([prefixes[index] for index in batch])
            cache.batch_repeat_interleave(len(rows) // len(batch))
            self._decode(rows, cache, prefixes[batch[0]].embedded.shape[0])
        results: dict[int, list[Generation]] = {index: [] for index in batch}
        for row in rows:
            prefix = prefixes[row.item]
            length = prefix.embedded.shape[0] + len(row.suffix)
            results[row.item].append(self._generation(row, length, prefix.visual, started))
        return results

    def _prefill(self, prefixes: Sequence[_Prefix]) -> DynamicCache:
        cache = DynamicCache()
        positions = np.stack([prefix.positions for prefix in prefixes], axis=1)
        self._language.model(
            inputs_embeds=torch.stack([prefix.embedded for prefix in prefixes]),
            position_ids=torch.from_numpy(positions).to(self._device),
            past_key_values=cache,
            use_cache=True,
        )
        return cache

    def _decode(self, rows: list[_Row], cache: DynamicCache, prefix: int) -> None:
        """Run the suffixes, padded on the left, then token by token until every row has ended."""
        longest = max(len(row.suffix) for row in rows)
        ids = torch.zeros((len(rows), longest), dtype=torch.long)
        mask = torch.ones((len(rows), prefix + longest), dtype=torch.long)
        places = torch.zeros((len(rows), longest), dtype=torch.long)
        for index, row in enumerate(rows):
            pad = longest - len(row.suffix)
            ids[index, pad:] = torch.tensor(row.suffix)
            mask[index, prefix : prefix + pad] = 0
            places[index, pad:] = torch.arange(row.following, row.following + len(row.suffix))
            row.following += len(row.suffix)
        active = list(rows)
        while True:
            chosen, logprobs = self._step(ids, places, mask, cache)
            for row, token, logprob in zip(active, chosen, logprobs, strict=True):
                self._take(row, token, logprob)
            keep = [index for index, row in enumerate(active) if row.finish is None]
            if not keep:
                return
            if len(keep) < len(active):
                cache.batch_select_indices(torch.tensor(keep, device=self._device))
                active, mask = [active[index] for index in keep], mask[keep]
            ids = torch.tensor([[row.tokens[-1]] for row in active])
            places = torch.tensor([[row.following] for row in active])
            mask = torch.cat([mask, torch.ones((len(active), 1), dtype=torch.long)], dim=1)
            for row in active:
                row.following += 1

    def _step(
        self, ids: Tensor, places: Tensor, mask: Tensor, cache: DynamicCache
    ) -> tuple[list[int], list[float]]:
        """One forward; the best next token of each row and its log probability."""
        hidden = self._language.model(
            input_ids=ids.to(self._device),
            position_ids=places.to(self._device).expand(3, *places.shape),
            attention_mask=mask.to(self._device),
            past_key_values=cache,
            use_cache=True,
        ).last_hidden_state[:, -1]
        logprobs = torch.log_softmax(self._language.head(hidden).float(), dim=-1)
        best, chosen = logprobs.max(dim=-1)
        return chosen.tolist(), best.tolist()

    def _take(self, row: _Row, token: int, logprob: float) -> None:
        """Add a token to a row and see whether the row has ended."""
        row.tokens.append(token)
        row.logprob += logprob
        if token in self._stops:
            row.finish = "stop"
        elif repeated_tail(row.tokens):
            row.finish = "repetition"
        elif len(row.tokens) >= row.prompt.max_new_tokens:
            row.finish = "length"
        row.ended = time.perf_counter()

    def _generation(self, row: _Row, prompt: int, visual: int, started: float) -> Generation:
        tokens = row.tokens[:-1] if row.finish == "stop" else row.tokens
        kept = tokens[: len(tokens) - repeated_tail(tokens)]
        assert row.finish is not None
        return Generation(
            text=str(self._tokenizer.decode(kept, skip_special_tokens=True)).strip(),
            tokens=tuple(tokens),
            finish_reason=row.finish,
            prompt_tokens=prompt,
            visual_tokens=visual,
            output_tokens=len(row.tokens),
            logprob=row.logprob / len(row.tokens),
            latency_us=round((row.ended - started) * 1e6),
        )
