"""Traffic: media that come to the topic, made by a seed or recorded."""

import csv
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from schemas.errors import SetupError

DAY_S: Final = 86_400.0
_SECONDS_A_PART: Final = 10


@dataclass(frozen=True, order=True)
class Arrival:
    """A medium that comes.

    Attributes:
        second: since the beginning.
        parts: that it has.
    """

    second: float
    parts: int


def burst(media: int, mean_parts: float, seed: int) -> list[Arrival]:
    """Media that come all at once."""
    return [Arrival(0.0, parts) for parts in _lengths(media, mean_parts, _chance(seed))]


def day(peak_s: float, mean_parts: float, seed: int) -> list[Arrival]:
    """A day from midnight: nothing by night, and most at noon.

    The rate is the square of a half wave from 6 to 22 o'clock. Media come at random, a Poisson
    process thinned to the rate: Lewis and Shedler, Simulation of Nonhomogeneous Poisson Processes
    by Thinning (Naval Research Logistics Quarterly 26(3), 1979).

    Args:
        peak_s: media a second at the most.
        mean_parts: of a medium.
        seed: of the times and lengths.
    """
    chance = _chance(seed)
    times = np.cumsum(chance.exponential(1 / peak_s, math.ceil(DAY_S * peak_s * 1.05)))
    kept = [at for at in times.tolist() if at < DAY_S and chance.random() < _share(at)]
    return list(map(Arrival, kept, _lengths(len(kept), mean_parts, chance)))


def _share(second: float) -> float:
    """Of the peak's rate."""
    hour = second / 3600
    return math.sin(math.pi * (hour - 6) / 16) ** 2 if 6 < hour < 22 else 0.0


def giant(hours: float) -> list[Arrival]:
    """One video."""
    return [Arrival(0.0, round(hours * 3600 / _SECONDS_A_PART))]


def recorded(path: Path) -> list[Arrival]:
    """Read second and parts of each medium, with a comma between; a head `second,parts` may be.

    Raises:
        SetupError: `usage`.
    """
    try:
        with path.open(newline="") as lines:
            found = sorted(_arrivals(csv.reader(lines)))
    except (OSError, ValueError) as error:
        message = f"{path}: no table of second,parts ({error})"
        raise SetupError("usage", message) from error
    if not found:
        message = f"{path}: no medium comes"
        raise SetupError("usage", message)
    start = found[0].second
    return [Arrival(one.second - start, one.parts) for one in found]


def _arrivals(rows: Iterable[list[str]]) -> Iterable[Arrival]:
    for number, row in enumerate(rows):
        if not row or (number == 0 and row[0].strip() == "second"):
            continue
        if len(row) != 2 or not math.isfinite(float(row[0])) or int(row[1]) < 1:
            message = f"row {number + 1} is {','.join(row)!r}"
            raise ValueError(message)
        yield Arrival(float(row[0]), int(row[1]))


def _lengths(media: int, mean_parts: float, chance: np.random.Generator) -> list[int]:
    """Geometric: most are short, some are long."""
    drawn: list[int] = chance.geometric(1 / mean_parts, media).tolist()
    return drawn


def _chance(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)
