"""Language: a batch of rows that are answered by the language half, one token a step.

A row is a prefix, which others may share, and a suffix. Rows join at any step and leave when they
have ended; what joins is read in the forward that gives the others their next token.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from pipeline.vlm.attention import Layout
from pipeline.vlm.cache import Cells, Positions, Prefix, Shape
from pipeline.vlm.checkpoint import Language

Mask = Callable[[Sequence[int], Tensor], Tensor]
"""Takes the tokens of an answer so far and the logits of the next one, float32 `(vocabulary,)`;
gives logits of the same form, the greatest of which is chosen."""


@dataclass(eq=False)
class Row:
    """One prompt that is being answered.

    Attributes:
        prefix: its beginning.
        suffix: token ids after that, at least one.
        positions: of the suffix, `(3, n)`.
        following: position of the first generated token.
        most: bound of the answer's tokens, at least 1.
        ended: says after each token whether the answer has ended.
        mask: changes the logits before a token is chosen.
        tokens: generated so far.
        logprob: sum over the generated tokens, nats.
        finished_at: `time.perf_counter()` at the end, else 0.
        cancelled: whether it was ended from outside.
        error: what the model failed with.
    """

    prefix: Prefix
    suffix: Sequence[int]
    positions: Positions
    following: int
    most: int
    ended: Callable[["Row"], bool]
    mask: Mask | None = None
    tokens: list[int] = field(default_factory=list)
    logprob: float = 0.0
    finished_at: float = 0.0
    cancelled: bool = False
    error: BaseException | None = None

    @property
    def head(self) -> int:
        """Cells of its own that its prefix takes."""
        return len(self.prefix) if self.prefix.is_copied else 0

    @property
    def cells(self) -> int:
        """Cells of its own that are in use between two steps; the last token is not read yet."""
        return self.head + len(self.suffix) + max(0, len(self.tokens) - 1)

    @property
    def most_cells(self) -> int:
        """Cells of its own that it may come to use."""
        return self.head + len(self.suffix) + self.most


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
        layout = self._layout(going, joining)
        logits = self._forward(going, joining, layout)
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

    def clear(self) -> None:
        """Take all out, and free the cache."""
        for prefix in self._prefixes:
            prefix.free()
        self.rows, self._prefixes, self._cells = [], {}, Cells(self._shape)

    def _layout(self, going: Sequence[Row], joining: Sequence[Row]) -> Layout:
        """Where the tokens of the next forward belong, with room for all of them."""
        device = self._shape.device
        reading = self._reserve()
        shared: dict[Prefix | None, list[int]] = {}
        for place, row in enumerate(going):
            shared.setdefault(None if row.prefix.is_copied else row.prefix, []).append(place)
        none = self._shape.room(cells=0)
        rows, cells = list(range(len(going))), [row.cells for row in going]
        column = torch.arange(max(cells, default=0) + 1, device=device)
        hidden = torch.zeros(len(going), len(column), device=device)
        hidden.masked_fill_(column > torch.tensor(cells, device=device)[:, None], -torch.inf)
        for place, row in enumerate(joining, len(going)):
            rows += [place] * len(row.suffix)
            cells += range(row.head, row.cells)
        order = [place for places in shared.values() for place in places]
        return Layout(
            cells=self._cells,
            at=(torch.tensor(rows, device=device), torch.tensor(cells, device=device)),
            hidden=hidden[:, None, None],
            groups=[
                (*(prefix.cells if prefix else (none, none)), len(places))
                for prefix, places in shared.items()
                if shared.keys() != {None}
            ],
            order=torch.tensor(order, dtype=torch.long, device=device),
            joining=[(row.prefix, len(row.suffix)) for row in joining],
            reading=reading,
        )

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

    def _forward(self, going: Sequence[Row], joining: Sequence[Row], layout: Layout) -> Tensor:
        """Logits of the next token of each row, float32 `(rows, vocabulary)`."""
        device = self._shape.device
        following = np.array([row.following + len(row.tokens) - 1 for row in going], np.int64)
        places = [np.tile(following, (3, 1)), *(row.positions for row in joining)]
        places += [prefix.positions for prefix in layout.reading]
        hidden = self._language.model(
            inputs_embeds=self._embedded(going, joining, layout)[None],
            position_ids=torch.from_numpy(np.concatenate(places, axis=1))[:, None].to(device),
            use_cache=False,
            layout=layout,
        ).last_hidden_state[0]
        last = [*range(len(going)), *(span.stop - 1 for span in layout.suffixes)]
        logits: Tensor = self._language.head(hidden[torch.tensor(last, device=device)])
        return logits.float()

    def _embedded(self, going: Sequence[Row], joining: Sequence[Row], layout: Layout) -> Tensor:
        """Embed the tokens of a forward, with visual tokens in their places."""
        ids = [row.tokens[-1] for row in going]
        for part in [*(row.suffix for row in joining), *(one.ids for one in layout.reading)]:
            ids += part
        device = self._shape.device
        embedded: Tensor = self._language.embed(torch.tensor(ids, device=device))
        for prefix, span in zip(layout.reading, layout.prefixes, strict=True):
            if prefix.visual:
                visual = torch.from_numpy(np.concatenate(prefix.visual)).to(embedded)
                embedded[span][torch.tensor(prefix.places, device=device)] = visual
        return embedded


def _choose(rows: Sequence[Row], logits: Tensor) -> None:
    """Give each row the best token of its logits; one whose mask fails has an error, alone."""
    for row, one in zip(rows, logits, strict=True):
        try:
            if row.mask is not None:
                one.copy_(row.mask(row.tokens, one))
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
