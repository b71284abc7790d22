"""Phases: what training shows and how fast it learns, one phase after the other."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Phase:
    """How a phase trains.

    Attributes:
        groups: weights of the groups of tasks.
        steps: optimiser steps.
        peak_rate: highest learning rate.
        last_rate: at the end of the cosine.
        warm_up: steps up to the peak.
        with_text: whether the language model takes part, or the tower learns alone.
        dense_weight: of the dense loss beside the answers' loss.
    """

    groups: Mapping[str, float]
    steps: int
    peak_rate: float
    last_rate: float
    warm_up: int = 200
    with_text: bool = True
    dense_weight: float = 0.5

    def rate(self, step: int) -> float:
        """Learning rate: warm-up, then cosine."""
        if step < self.warm_up:
            return self.peak_rate * (step + 1) / self.warm_up
        cosine = 0.5 * (1 + math.cos(math.pi * step / self.steps))
        return self.last_rate + (self.peak_rate - self.last_rate) * cosine


PHASES: Final[dict[str, Phase]] = {
    "letters": Phase(
        groups={"letters": 1}, steps=12000, peak_rate=2e-3, last_rate=4e-4, with_text=False
    ),
    "copying": Phase(
        groups={"short": 3, "letters": 1}, steps=8000, peak_rate=1.5e-3, last_rate=4e-4
    ),
    "broad": Phase(
        groups={
            "scripts": 8,
            "letters": 1.5,
            "reading": 4,
            "scenes": 2,
            "clips": 2,
            "pages": 4,
            "arithmetic": 4,
            "bars": 0.5,
            "calls": 0.5,
            "screens": 3,
        },
        steps=12000,
        peak_rate=1e-3,
        last_rate=7e-4,
        dense_weight=0.3,
    ),
    "final": Phase(
        groups={
            "scripts": 6,
            "letters": 3.5,
            "reading": 7,
            "scenes": 2.5,
            "clips": 2.2,
            "pages": 6,
            "arithmetic": 1,
            "bars": 0.9,
            "calls": 1,
            "screens": 2,
        },
        steps=9000,
        peak_rate=8e-4,
        last_rate=2e-4,
        warm_up=100,
        dense_weight=0.3,
    ),
    "cells": Phase(
        groups={
            "scripts": 5,
            "letters": 2,
            "reading": 8,
            "scenes": 4,
            "clips": 1.5,
            "pages": 8,
            "arithmetic": 0.7,
            "bars": 0.7,
            "calls": 0.8,
            "screens": 2,
        },
        steps=4400,
        peak_rate=5e-4,
        last_rate=1e-5,
        warm_up=100,
        dense_weight=0.3,
    ),
    "lines": Phase(
        groups={
            "scripts": 3,
            "letters": 2,
            "reading": 13,
            "scenes": 2.5,
            "clips": 2,
            "pages": 1.5,
            "arithmetic": 0.7,
            "bars": 0.4,
            "calls": 0.5,
            "screens": 0.8,
        },
        steps=1650,
        peak_rate=3e-4,
        last_rate=5e-6,
        warm_up=60,
        dense_weight=0.3,
    ),
    "bands": Phase(
        groups={
            "scripts": 3,
            "letters": 2,
            "reading": 18,
            "scenes": 1.8,
            "clips": 1.5,
            "pages": 2,
            "arithmetic": 0.6,
            "bars": 0.3,
            "calls": 0.4,
            "screens": 1,
        },
        steps=10300,
        peak_rate=6e-4,
        last_rate=5e-6,
        warm_up=100,
        dense_weight=0.4,
    ),
}
