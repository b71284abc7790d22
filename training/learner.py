"""Learner: model and heads, and the loss of a batch."""

from dataclasses import dataclass
from typing import Final

from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedTokenizerFast

from training.batches import IGNORED, Batch
from training.forward import Forward, Read
from training.heads import Heads, pointing
from training.model import build_model
from training.phases import Phase

POINTING: Final = 0.2
PLACING: Final = 0.1
"""Weights of the losses of attention and of places beside that of the answers."""


@dataclass
class Losses:
    """Losses of a step, and what tells which half is the limit.

    Attributes:
        total: to be minimised.
        dense_accuracy: share of the filled slots that the tower names right.
        answer: loss of the answers alone.
        answer_accuracy: share of their tokens that are right.
        pointing: geometric mean of the attention on the right cells; 0 without marks.
    """

    total: Tensor
    dense_accuracy: float
    answer: Tensor | None = None
    answer_accuracy: float = 0.0
    pointing: float = 0.0


class Learner:
    """Model and heads, and the loss of a batch."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast, *, compiled: bool) -> None:
        self.model = build_model(tokenizer)
        self.heads = Heads(self.model.lm_head.in_features)
        self._forward = Forward(self.model, compiled=compiled)

    def parameters(self) -> list[nn.Parameter]:
        """All that learns."""
        return [*self.model.parameters(), *self.heads.parameters()]

    def losses(self, batch: Batch, phase: Phase) -> Losses:
        """Forward of one batch; the dense loss alone where the tower learns alone."""
        visual = self._forward.tower(batch.patches, batch.size[1:])
        logits = self.heads.dense(visual, batch.chosen).float()
        labels = batch.dense[batch.chosen]
        dense = functional.cross_entropy(logits, labels)
        shown = labels > 0
        accuracy = (logits.argmax(-1) == labels)[shown].float().mean().item()
        if not phase.with_text:
            return Losses(dense, accuracy)
        read = self._read(batch, visual)
        answer, answer_accuracy = self._answer_loss(batch, read)
        found = pointing(batch, read)
        places = self.heads.places(batch, read) + self.heads.targets(batch, read)
        inner = phase.dense_weight * dense + POINTING * found + PLACING * places
        share = found.neg().exp().item() if len(batch.pointers) else 0.0
        return Losses(answer + inner, accuracy, answer, answer_accuracy, share)

    def _read(self, batch: Batch, visual: Tensor) -> Read:
        embedded = self.model.model.language_model.embed_tokens(batch.ids)
        flat = visual.reshape(-1, visual.shape[-1]).to(embedded.dtype)
        embedded = embedded.masked_scatter(batch.visual[..., None], flat)
        return self._forward.language(embedded, batch.positions, batch.segments)

    def _answer_loss(self, batch: Batch, read: Read) -> tuple[Tensor, float]:
        asked = batch.targets != IGNORED
        predicted = self.model.lm_head(read.last[asked]).float()
        targets = batch.targets[asked]
        accuracy = (predicted.argmax(-1) == targets).float().mean().item()
        return functional.cross_entropy(predicted, targets), accuracy
