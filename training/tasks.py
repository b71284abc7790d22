"""Tasks: all that there is to learn, in groups of similar pictures and prompts."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from training import calls, clips, documents, figures, reading, scenes, screens
from training.batches import Batch, Batcher, Size
from training.canvas import Example, Finish, Grid

Draw = Callable[[random.Random, Size, Finish, bool], Example]
"""Draws an example of a size; the last argument asks for strings that training never shows."""
HOW: Final = Finish(noise=0.35, jpeg=0.12, reduced=0.25, large=0.2, coloured=0.15)
COST: Final = 2800
"""Bound of a step: examples times what each costs, about 3 a visual token and 1 a text token."""
BATCH: Final = 64


def _still(draw: Callable[[random.Random, Grid, Finish, bool], Example]) -> Draw:
    def of_size(random_: random.Random, size: Size, how: Finish, held_out: bool) -> Example:
        return draw(random_, size[1:], how, held_out)

    return of_size


TASKS: Final[dict[str, Draw]] = {
    "line": _still(reading.english),
    "lines": _still(reading.lines),
    "script": _still(reading.script),
    "shape": _still(reading.shape),
    "empty": _still(reading.empty),
    "scene": _still(scenes.scene),
    "clip": clips.clip,
    "page": _still(documents.page),
    "arithmetic": _still(figures.arithmetic),
    "bars": _still(figures.bars),
    "call": _still(calls.tool_call),
    "tap": _still(screens.tap),
}


@dataclass(frozen=True)
class Group:
    """Tasks that share batches.

    Attributes:
        sizes: of the pictures; one that stands twice comes twice as often.
        text: tokens of the prompts and answers, about.
        tasks: names in `TASKS` with their weights.
    """

    sizes: tuple[Size, ...]
    text: int
    tasks: Mapping[str, float]

    def count(self, size: Size) -> int:
        """Examples of a batch."""
        cells = size[0] * size[1] * size[2]
        return min(BATCH, COST // (3 * cells + self.text))


def _stills(*grids: Grid) -> tuple[Size, ...]:
    return tuple((1, *grid) for grid in grids)


_LETTERS: Final = {"line": 75, "shape": 25}
GROUPS: Final[dict[str, Group]] = {
    "letters": Group(_stills((1, 4), (1, 6), (1, 8), (2, 4), (2, 6), (3, 5), (4, 4)), 28, _LETTERS),
    # a line is no longer than twice its picture's cells in width
    "short": Group(_stills((1, 1), (1, 2), (2, 2), (1, 3), (2, 3), (1, 4)), 22, _LETTERS),
    "reading": Group(
        _stills(
            *((1, 4), (1, 6), (1, 6), (1, 8), (1, 8), (2, 4), (2, 5), (2, 6), (2, 6), (2, 8)),
            *((2, 8), (3, 4), (3, 5), (3, 5), (3, 6), (3, 6), (3, 8), (4, 4), (4, 4), (4, 6)),
            *((1, 10), (2, 10), (5, 5), (4, 7), (5, 9), (8, 5), (8, 1), (4, 1), (8, 2), (6, 3)),
        ),
        34,
        {"line": 15, "lines": 72, "script": 8, "shape": 4, "empty": 1},
    ),
    "scripts": Group(
        _stills((1, 4), (1, 6), (1, 8), (2, 4), (2, 5), (2, 6), (3, 4), (3, 5)), 28, {"script": 1}
    ),
    "scenes": Group(
        _stills((2, 3), (2, 4), (3, 3), (3, 4), (3, 5), (4, 4), (3, 6), (5, 5), (5, 9)),
        66,
        {"scene": 1},
    ),
    "clips": Group(
        tuple(
            (time, *grid)
            for grid in ((2, 2), (2, 3), (3, 3))
            for time in range(2, 9)
            if time * grid[0] * grid[1] <= 42
        ),
        54,
        {"clip": 1},
    ),
    "pages": Group(
        _stills((4, 5), (5, 5), *((4, 6), (5, 6), (5, 7), (6, 7)) * 3), 105, {"page": 1}
    ),
    "arithmetic": Group(_stills((1, 4), (2, 4), (2, 5), (2, 6), (3, 5)), 160, {"arithmetic": 1}),
    "bars": Group(_stills((3, 6), (3, 7), (4, 6), (4, 8), (3, 8)), 22, {"bars": 1}),
    "calls": Group(_stills((1, 4), (1, 6), (2, 4), (2, 5), (2, 6), (3, 5)), 78, {"call": 1}),
    "screens": Group(_stills((4, 4), (5, 4), (6, 4), (4, 6), (5, 6), (6, 6)), 90, {"tap": 1}),
}


def draw_batch(batcher: Batcher, random_: random.Random, name: str) -> Batch:
    """One batch of a group for training."""
    group = GROUPS[name]
    size = random_.choice(group.sizes)
    tasks = random_.choices(
        list(group.tasks), weights=list(group.tasks.values()), k=group.count(size)
    )
    examples = [TASKS[task](random_, size, HOW, False) for task in tasks]
    return batcher.batch(name, random_, examples, size)
