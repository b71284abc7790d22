"""Grow: the weights of a smaller model inside a larger one that computes the same.

New layers get zero residual outputs, new units of an MLP zero columns in its output, and rows of
the embedding and the head follow their token from one tokenizer to the other. So a run may start
from a shipped checkpoint, or go on with a larger vocabulary, without losing what was learned.
"""

from collections.abc import Mapping
from typing import Final

import torch
from torch import Tensor, nn

_OUTPUTS: Final = ("o_proj.weight", "down_proj.weight", "attn.proj.weight", "attn.proj.bias")
_OUTPUTS_TOO: Final = ("mlp.fc2.weight", "mlp.fc2.bias")
_MLP_OUTPUTS: Final = ("down_proj.weight", "mlp.fc2.weight")
_BY_TOKEN: Final = ("embed_tokens.weight", "lm_head.weight")


@torch.no_grad()
def grow(
    model: nn.Module,
    weights: Mapping[str, Tensor],
    old_tokens: Mapping[str, int],
    new_tokens: Mapping[str, int],
) -> None:
    """Fill a randomly initialised model from a smaller one of the same widths.

    Args:
        model: its weights are overwritten where the smaller model has them.
        weights: state of the smaller model.
        old_tokens: its vocabulary.
        new_tokens: the vocabulary of `model`.
    """
    for name, weight in model.state_dict().items():
        old = weights.get(name)
        if name.endswith(_BY_TOKEN):
            _copy_tokens(weight, weights[name], old_tokens, new_tokens)
        elif old is not None:
            if name.endswith(_MLP_OUTPUTS):
                weight.zero_()
            weight[tuple(slice(size) for size in old.shape)] = old.to(weight)
        elif name.endswith(_OUTPUTS + _OUTPUTS_TOO):
            weight.zero_()


def _copy_tokens(
    weight: Tensor, old: Tensor, old_tokens: Mapping[str, int], new_tokens: Mapping[str, int]
) -> None:
    common = [token for token in new_tokens if token in old_tokens]
    weight[[new_tokens[token] for token in common]] = old[
        [old_tokens[token] for token in common]
    ].to(weight)
