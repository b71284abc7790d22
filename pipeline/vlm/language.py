"""Language: greedy decoding of many prompts that share prefixes, by the language half.

A sequence is a prefix with several suffixes. Prefixes are prefilled once, padded on the left to
one length; their key-value caches are forked, one row a suffix; and all rows are decoded as one
batch. Positions are given at every step, so padding moves nothing.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import DynamicCache

from pipeline.vlm.checkpoint import Language

Positions = NDArray[np.int64]


@dataclass(frozen=True)
class Prefix:
    """What several prompts have in common: embeddings `(n, hidden)` and positions `(3, n)`."""

    embedded: Tensor
    positions: Positions

    def __len__(self) -> int:
        return len(self.embedded)


@dataclass
class Row:
    """One prompt that is being answered.

    Attributes:
        prefix: index of its prefix in the batch.
        suffix: token ids after the prefix, at least one.
        positions: of the suffix, `(3, n)`.
        following: position of the first generated token.
        ended: says after each token whether the answer has ended.
        tokens: generated so far.
        logprob: sum over the generated tokens, nats.
        finished_at: `time.perf_counter()` at the end.
    """

    prefix: int
    suffix: Sequence[int]
    positions: Positions
    following: int
    ended: Callable[["Row"], bool]
    tokens: list[int] = field(default_factory=list)
    logprob: float = 0.0
    finished_at: float = 0.0


def decode(language: Language, prefixes: Sequence[Prefix], rows: Sequence[Row]) -> None:
    """Generate until every row has ended; the rows are filled in place."""
    with torch.inference_mode():
        cache, mask = _prefill(language, prefixes)
        # A row that is named twice is forked.
        cache.batch_select_indices(torch.tensor([row.prefix for row in rows], device=mask.device))
        ids, places, mask = _suffixes(rows, mask)
        active = list(rows)
        while True:
            _take(active, *_step(language, ids, places, mask, cache))
            keep = [index for index, row in enumerate(active) if not row.finished_at]
            if not keep:
                return
            if len(keep) < len(active):
                chosen = torch.tensor(keep, device=mask.device)
                cache.batch_select_indices(chosen)
                active, mask = [active[index] for index in keep], mask[chosen]
            ids = torch.tensor([[row.tokens[-1]] for row in active])
            following = torch.tensor([[row.following + len(row.tokens) - 1] for row in active])
            places = following.expand(3, *following.shape)
            mask = torch.cat([mask, mask.new_ones((len(active), 1))], dim=1)


def _prefill(language: Language, prefixes: Sequence[Prefix]) -> tuple[DynamicCache, Tensor]:
    """Cache of the prefixes, padded on the left, and the mask `(prefixes, longest)`."""
    longest = max(map(len, prefixes))
    weight = language.embed.weight
    embedded = weight.new_zeros((len(prefixes), longest, weight.shape[1]))
    mask = torch.zeros((len(prefixes), longest), dtype=torch.long, device=embedded.device)
    places = np.zeros((3, len(prefixes), longest), dtype=np.int64)
    for index, prefix in enumerate(prefixes):
        pad = longest - len(prefix)
        embedded[index, pad:] = prefix.embedded
        mask[index, pad:] = 1
        places[:, index, pad:] = prefix.positions
    cache = DynamicCache()
    if longest:
        language.model(
            inputs_embeds=embedded,
            position_ids=torch.from_numpy(places).to(embedded.device),
            attention_mask=None if bool(mask.all()) else mask,
            past_key_values=cache,
            use_cache=True,
        )
    return cache, mask


def _suffixes(rows: Sequence[Row], mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Ids `(rows, longest)`, positions `(3, rows, longest)` and the mask grown by them."""
    longest = max(len(row.suffix) for row in rows)
    ids = np.zeros((len(rows), longest), dtype=np.int64)
    places = np.zeros((3, len(rows), longest), dtype=np.int64)
    shown = np.zeros((len(rows), longest), dtype=np.int64)
    for index, row in enumerate(rows):
        pad = longest - len(row.suffix)
        ids[index, pad:] = row.suffix
        places[:, index, pad:] = row.positions
        shown[index, pad:] = 1
    before = mask[[row.prefix for row in rows]]
    grown = torch.cat([before, torch.from_numpy(shown).to(mask.device)], dim=1)
    return torch.from_numpy(ids), torch.from_numpy(places), grown


def _step(
    language: Language, ids: Tensor, places: Tensor, mask: Tensor, cache: DynamicCache
) -> tuple[list[int], list[float]]:
    """One forward; the best next token of each row and its log probability."""
    hidden = language.model(
        input_ids=ids.to(mask.device),
        position_ids=places.to(mask.device),
        attention_mask=mask,
        past_key_values=cache,
        use_cache=True,
    ).last_hidden_state[:, -1]
    logits = language.head(hidden).float()
    best, chosen = logits.max(dim=-1)
    return chosen.tolist(), (best - logits.logsumexp(dim=-1)).tolist()


def _take(rows: Sequence[Row], chosen: Sequence[int], logprobs: Sequence[float]) -> None:
    for row, token, logprob in zip(rows, chosen, logprobs, strict=True):
        row.tokens.append(token)
        row.logprob += logprob
        if row.ended(row):
            row.finished_at = time.perf_counter()
