"""Screens: labelled buttons, and the tap on one of them as Qwen2-VL's agents write it."""

import random
import re
from typing import Final

from training import words
from training.canvas import (
    COLOURS,
    Example,
    Finish,
    Grid,
    Mark,
    Question,
    cells_in,
    ink,
    paper,
    pixels,
)
from training.phrases import NOT_SHOWN, TAP
from training.sheet import Box, Face, Sheet

_ABSENT: Final = 0.1
_QUESTIONS: Final = 4
"""On a screen; equal ones are asked once."""
_STEP: Final = 10
"""Coordinates of 0..1000 are given in tens: half of a small button is more."""
_LETTERS: Final = (2, 6)
"""Fewest and most letters of a name."""


def tap(random_: random.Random, grid: Grid, how: Finish, held_out: bool) -> Example:
    """Three to eight buttons, in training also one or two, and requests to tap them."""
    slots = _slots(grid)
    count = random_.randint(3 if held_out else 1, min(8, len(slots)))
    boxes = [_inside(random_, slot) for slot in random_.sample(slots, count)]
    face = Face.any(random_, random_.randint(15, 18))
    names = _names(random_, held_out, face, boxes)
    sheet, dark = Sheet(grid, paper(random_)), ink(random_)
    filled = random_.random() < 0.5
    for box, name in zip(boxes, names, strict=True):
        _button(random_, sheet, box, name, face, dark, filled)
    picture = sheet.finish(random_, how)
    buttons = dict(zip(names, boxes, strict=True))
    asked = [_asked(random_, names, held_out) for _ in range(_QUESTIONS)]
    questions = tuple(_question(name, buttons.get(name), grid) for name in asked)
    return Example(picture, questions, sheet.labels, box=buttons.get(asked[0]))


def _asked(random_: random.Random, names: list[str], held_out: bool) -> str:
    """The name of a button; a tenth of the times one that is not there."""
    if random_.random() >= _ABSENT:
        return random_.choice(names)
    while (absent := words.name(random_, held_out, *_LETTERS)) in names:
        pass
    return absent


def _question(name: str, box: Box | None, grid: Grid) -> Question:
    prompt = f"Tap {name}"
    if box is None:
        return Question(prompt, NOT_SHOWN)
    cells, answer = cells_in(box, grid), tap_at(box, grid)
    named = Mark(len(prompt) - len(name), len(prompt), cells, answer=False)
    return Question(prompt, answer, (named, Mark(0, len(answer), cells)))


def tap_at(box: Box, grid: Grid) -> str:
    """The action that taps the middle of a box."""
    height, width = pixels(grid)
    x = (box[0] + box[2]) / 2 / width * 1000
    y = (box[1] + box[3]) / 2 / height * 1000
    return f"{TAP}{_STEP * round(x / _STEP)},{_STEP * round(y / _STEP)})}}"


def point(answer: str) -> tuple[int, int] | None:
    """The place that an action taps, in 0..1000, or None."""
    found = re.fullmatch(r"Tap\{point:\((\d+),(\d+)\)\}", answer)
    return (int(found[1]), int(found[2])) if found else None


def _slots(grid: Grid) -> list[Box]:
    """Places for buttons: columns of two cells or more, rows of one cell and a bit."""
    height, width = pixels(grid)
    across, down = max(1, grid[1] // 2), max(1, int(grid[0] / 1.2))
    wide, tall = width / across, height / down
    return [
        (column * wide, row * tall, (column + 1) * wide, (row + 1) * tall)
        for row in range(down)
        for column in range(across)
    ]


def _inside(random_: random.Random, slot: Box) -> Box:
    left, top, right, bottom = slot
    tall = min(bottom - top - 2, random_.uniform(24, 34))
    wide = min(right - left - 2, random_.uniform(52, 84))
    x = random_.uniform(left + 1, right - wide - 1)
    y = random_.uniform(top + 1, bottom - tall - 1)
    return x, y, x + wide, y + tall


def _names(random_: random.Random, held_out: bool, face: Face, boxes: list[Box]) -> list[str]:
    names: list[str] = []
    for left, _, right, _ in boxes:
        while True:
            name = words.name(random_, held_out, *_LETTERS)
            if name not in names and face.extent(name)[0] < right - left - 4:
                break
        names.append(name)
    return names


def _button(
    random_: random.Random,
    sheet: Sheet,
    box: Box,
    name: str,
    face: Face,
    dark: tuple[int, int, int],
    filled: bool,
) -> None:
    light = tuple(min(255, 150 + side // 2) for side in random_.choice(list(COLOURS.values())))
    fill = light if filled else (255, 255, 255)
    sheet.draw.rounded_rectangle(box, 5, fill=fill, outline=dark)
    wide, tall = face.extent(name)
    x, y = (box[0] + box[2] - wide) / 2, (box[1] + box[3] - tall) / 2
    sheet.write(x, y, name, face, dark)
