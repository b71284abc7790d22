"""Language: a batch of rows that are answered by the language half, one token a step.

A row is a prefix, which others may share, and a suffix. Rows join at any step and leave when they
have ended; what joins is read in the forward that gives the others their next token.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from pipeline.vlm.cache import Cells, Prefix, Shape
from pipeline.vlm.checkpoint import Language
from pipeline.vlm.device import upload
from pipeline.vlm.layout import Layout, layout
from pipeline.vlm.row import Row


class Batch:
    """Rows that run. One thread at a time."""

    def __init__(self, language: Language) -> None:
        self._language = language
        self._shape = _shape(language)
        self.rows: list[Row] = []
        self._cells = Cells(self._shape)
        self._prefixes: dict[Prefix, None] = {}  # in the cache

    @torch.inference_mode()
    def step(self, joining: Sequence[Row]) -> None:
        """Add rows, and one token to each that is there. After an error, call `clear`."""
        going, self.rows = self.rows, [*self.rows, *joining]
        if not self.rows:
            return
        laid_out = layout(self._cells, going, joining, self._reserve())
        logits = self._forward(going, joining, laid_out)
        for place, row in enumerate(joining, len(going)):
            if row.prefix.is_copied:
                self._cells.copy(row.prefix, place)
        _choose(self.rows, logits)

    @torch.inference_mode()
    def leave(self, row: Row) -> None:
        """Take a row out; the last one gets its place."""
        place, last = self.rows.index(row), self.rows.pop()
        if last is not row:
            self.rows[place] = last
            self._cells.move(len(self.rows), place, last.cells)
        if not self.rows:
            self._cells = Cells(self._shape)  # the next ones may have another form

    def clear(self) -> None:
        """Take all out, and free the cache."""
        for prefix in self._prefixes:
            prefix.free()
        self.rows, self._prefixes, self._cells = [], {}, Cells(self._shape)

    def _reserve(self) -> list[Prefix]:
        """Make room for the next forward; the prefixes that are to be read in it."""
        used = dict.fromkeys(row.prefix for row in self.rows)
        for prefix in self._prefixes.keys() - used.keys():
            prefix.free()
        reading = [prefix for prefix in used if prefix not in self._prefixes]
        self._prefixes = used
        for prefix in reading:
            prefix.reserve(self._shape)
        self._cells.reserve(len(self.rows), 1 + max(row.cells for row in self.rows))
        return reading

    def _forward(self, going: Sequence[Row], joining: Sequence[Row], there: Layout) -> Tensor:
        """Logits of the next token of each row, float32 `(rows, vocabulary)`."""
        device = self._shape.device
        following = np.array([row.following + len(row.tokens) - 1 for row in going], np.int64)
        places = [np.tile(following, (3, 1)), *(row.positions for row in joining)]
        places += [prefix.positions for prefix in there.reading]
        hidden = self._language.model(
            inputs_embeds=self._embedded(going, joining, there)[None],
            position_ids=upload(np.concatenate(places, axis=1), device)[:, None],
            use_cache=False,
            layout=there,
        ).last_hidden_state[0]
        last = [*range(len(going)), *(span.stop - 1 for span in there.suffixes)]
        logits: Tensor = self._language.head(hidden[torch.tensor(last, device=device)])
        return logits.float()

    def _embedded(self, going: Sequence[Row], joining: Sequence[Row], there: Layout) -> Tensor:
        """Embed the tokens of a forward, with visual tokens in their places."""
        ids = [row.tokens[-1] for row in going]
        for part in [*(row.suffix for row in joining), *(one.ids for one in there.reading)]:
            ids += part
        device = self._shape.device
        embedded: Tensor = self._language.embed(torch.tensor(ids, device=device))
        for prefix, span in zip(there.reading, there.prefixes, strict=True):
            if prefix.visual:
                visual = upload(np.concatenate(prefix.visual), device).to(embedded.dtype)
                embedded[span][torch.tensor(prefix.places, device=device)] = visual
        return embedded


def _choose(rows: Sequence[Row], logits: Tensor) -> None:
    """Give each row the best token of its logits; one whose mask fails has an error, alone."""
    for place, row in enumerate(rows):
        if row.mask is not None:
            try:
                logits[place] = row.mask(row.tokens, logits[place])
            except Exception as error:  # noqa: BLE001 - the code of who asked
                row.error = error
    best, chosen = logits.max(dim=-1)
    logprobs = best - logits.logsumexp(dim=-1)
    for row, token, logprob in zip(rows, chosen.tolist(), logprobs.tolist(), strict=True):
        row.tokens.append(token)
        row.logprob += logprob


def _shape(language: Language) -> Shape:
    text, weight = language.config.text_config, language.embed.weight
    width = text.hidden_size // text.num_attention_heads
    heads = text.num_key_value_heads
    return Shape(text.num_hidden_layers, heads, width, weight.dtype, weight.device)
