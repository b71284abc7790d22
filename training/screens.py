"""Screens: labelled buttons, and the tap on one of them as Qwen2-VL's agents write it."""

import random
import re
from typing import Final

from training import words
from training.canvas import COLOURS, Example, Finish, Grid, ink, paper, pixels
from training.phrases import NOT_SHOWN, TAP
from training.sheet import Box, Face, Sheet

_ABSENT: Final = 0.1
_STEP: Final = 10
"""Coordinates of 0..1000 are given in tens: half of a small button is more."""


def tap(random_: random.Random, grid: Grid, how: Finish, held_out: bool) -> Example:
    """Three to eight buttons, and the request to tap one."""
    slots = _slots(grid)
    count = random_.randint(3, min(8, len(slots)))
    boxes = [_inside(random_, slot) for slot in random_.sample(slots, count)]
    face = Face.any(random_, random_.randint(15, 18))
    names = _names(random_, held_out, face, boxes)
    sheet, dark = Sheet(grid, paper(random_)), ink(random_)
    filled = random_.random() < 0.5
    for box, name in zip(boxes, names, strict=True):
        _button(random_, sheet, box, name, face, dark, filled)
    picture = sheet.finish(random_, how)
    chosen = random_.randrange(count)
    if random_.random() < _ABSENT:
        absent = _name(random_, held_out)
        while absent in names:
            absent = _name(random_, held_out)
        return Example(picture, f"Tap {absent}", NOT_SHOWN, sheet.labels)
    box = boxes[chosen]
    return Example(picture, f"Tap {names[chosen]}", tap_at(box, grid), sheet.labels, box=box)


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
            name = _name(random_, held_out)
            if name not in names and face.extent(name)[0] < right - left - 4:
                break
        names.append(name)
    return names


def _name(random_: random.Random, held_out: bool) -> str:
    pool = words.words(held_out)
    while not 2 <= len(word := random_.choice(pool)) <= 6:
        pass
    return word.capitalize()


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
