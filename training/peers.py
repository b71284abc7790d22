"""Peers: processes that learn together, each from batches of its own, with averaged gradients."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import distributed, nn


@dataclass(frozen=True)
class Peers:
    """This process's number among `count` that learn together."""

    number: int = 0
    count: int = 1

    @classmethod
    @contextmanager
    def meet(cls, number: int, count: int, meeting: Path) -> Iterator["Peers"]:
        """The meeting with the others; `meeting` is a file that does not exist yet, one for all."""
        if count == 1:
            yield cls()
            return
        distributed.init_process_group(
            "gloo", init_method=f"file://{meeting.absolute()}", rank=number, world_size=count
        )
        try:
            yield cls(number, count)
        finally:  # its threads, when they still run at the end of the process, abort it
            distributed.destroy_process_group()

    def average(self, parameters: Sequence[nn.Parameter]) -> None:
        """Set gradients to their means over all peers; what none of them used has none."""
        if self.count == 1:
            return
        used = torch.tensor([one.grad is not None for one in parameters], dtype=torch.float32)
        distributed.all_reduce(used)
        for one, count in zip(parameters, used.tolist(), strict=True):
            if one.grad is None and count:
                one.grad = torch.zeros_like(one)
        gradients = [one.grad for one in parameters if one.grad is not None]
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        distributed.all_reduce(flat)
        flat /= self.count
        parts = torch.split(flat, [gradient.numel() for gradient in gradients])
        for gradient, part in zip(gradients, parts, strict=True):
            gradient.copy_(part.view_as(gradient))
