"""Lines: pictures of one to three lines of printed text in any of the twelve languages."""

import random
from collections.abc import Callable
from typing import Final

from training import scripts, words
from training.canvas import CLEAN, Example, Finish, Grid, Mark, Question, paper_and_ink, pixels
from training.sheet import Face, Sheet

READ: Final = "Read the text."
Write = Callable[[int], str]
"""Makes a line of at most so many characters."""


def text_line(
    random_: random.Random,
    grid: Grid,
    *,
    held_out: bool = False,
    longest: int = words.MAX_CHARACTERS,
    how: Finish = CLEAN,
) -> Example:
    """An English line that fits, anywhere in the picture; three in ten in the middle.

    Args:
        random_: source of all choices.
        grid: cells of the picture.
        held_out: draw the words and numbers that training never shows.
        longest: most characters.
        how: what is done to the picture.
    """
    most = min(longest, grid[1] * 2)
    return _printed(random_, grid, "english", 1, how, lambda: words.line(random_, held_out, most))


def text_lines(
    random_: random.Random, grid: Grid, *, held_out: bool = False, how: Finish = CLEAN
) -> Example:
    """Two or three short English lines, one under the other."""
    count = 3 if grid[0] >= 3 and random_.random() < 0.5 else 2
    most = min(words.MAX_CHARACTERS, grid[1] * 2)
    return _printed(
        random_, grid, "english", count, how, lambda: words.line(random_, held_out, most)
    )


def script_line(
    random_: random.Random,
    grid: Grid,
    language: str,
    *,
    held_out: bool = False,
    how: Finish = CLEAN,
) -> Example:
    """A line of one or two words of another language."""
    most = min(words.MAX_CHARACTERS, grid[1] * 2)
    if language in ("chinese", "japanese", "korean"):
        most = max(1, grid[1])
    return _printed(
        random_,
        grid,
        language,
        1,
        how,
        lambda: scripts.line(random_, language, held_out, most),
    )


def _printed(
    random_: random.Random,
    grid: Grid,
    language: str,
    count: int,
    how: Finish,
    write: Callable[[], str],
) -> Example:
    height, width = pixels(grid)
    while True:
        lines = [write() for _ in range(count)]
        face = Face.any(random_, _size(random_, grid, language, how, count), language)
        extents = [face.extent(line) for line in lines]
        gap = random_.randint(3, 10) if count > 1 else 0
        tall = sum(high for _, high in extents) + gap * (count - 1)
        wide = max(across for across, _ in extents)
        if wide <= width - 2 and tall <= height - 2:
            break
    left, top = _place(random_, width - wide, height - tall)
    scale = random_.choice((2, 3)) if random_.random() < how.reduced else 1
    below, above = paper_and_ink(random_, how.coloured)
    sheet = Sheet(grid, below, scale)
    centred = random_.random() < 0.3
    marks: list[Mark] = []
    at = 0
    for line, (across, high) in zip(lines, extents, strict=True):
        indent = wide - across
        start = indent / 2 if centred else indent if language == "arabic" else 0
        marks += sheet.write(left + start, top, line, face, above, at)
        top += high + gap
        at += len(line) + 1
    picture = sheet.finish(random_, how)
    return Example(picture, (Question(READ, "\n".join(lines), tuple(marks)),), sheet.labels)


def _place(random_: random.Random, free_x: float, free_y: float) -> tuple[float, float]:
    if random_.random() < 0.3:
        return free_x // 2, free_y // 2
    return random_.randint(0, int(free_x) - 1), random_.randint(1, int(free_y) - 1)


def _size(random_: random.Random, grid: Grid, language: str, how: Finish, count: int) -> int:
    if count == 1 and grid[0] > 1 and random_.random() < how.large:
        return random_.randint(27, 36)
    least = {"english": 15, "chinese": 20, "japanese": 20, "korean": 20, "arabic": 20}.get(
        language, 17
    )
    return random_.randint(least, 26)
