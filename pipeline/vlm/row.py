"""Row: one prompt that is being answered."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from torch import Tensor

from pipeline.vlm.cache import Positions, Prefix

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
