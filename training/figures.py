"""Figures: a sum that stands in the picture, and bars with names."""

import random
from dataclasses import replace
from typing import Final

from training import words
from training.canvas import (
    COLOURS,
    Example,
    Finish,
    Grid,
    Mark,
    Question,
    ink,
    paper,
    pixels,
)
from training.sheet import Face, Sheet, lone_line

RESULT: Final = "What is the result?"
LARGEST: Final = "Which bar is the largest?"
_SPOKEN: Final = 7
"""Sums that are asked beside a picture's own."""
_SIZES: Final = (18, 28)
"""Of the letters of a sum, in pixels."""
_LETTERS: Final = (2, 4)
"""Fewest and most letters of a name."""


def arithmetic(random_: random.Random, grid: Grid, how: Finish, held_out: bool) -> Example:
    """A sum or a difference of two numbers of two digits, never negative.

    The answer repeats it before the result: what has been written is easier to add than what is
    only seen. Further questions ask for sums that are not in the picture.
    """
    first, sign, second = _sum(random_, held_out)
    space = random_.choice(("", " "))
    text = f"{first}{space}{sign}{space}{second}" + random_.choice(("", f"{space}=", ""))
    sheet, marks = lone_line(random_, grid, how, text, _SIZES)
    printed = [mark for mark, letter in zip(marks, text, strict=True) if letter not in " ="]
    places = tuple(replace(mark, begin=n, end=n + 1) for n, mark in enumerate(printed))
    shown = Question(RESULT, solved(first, sign, second), places)
    spoken = (_spoken(*_sum(random_, held_out)) for _ in range(_SPOKEN))
    return Example(sheet.finish(random_, how), (shown, *spoken), sheet.labels)


def _sum(random_: random.Random, held_out: bool) -> tuple[int, str, int]:
    """A sum is held out in both orders, or shown in both."""
    while True:
        first, second = random_.randint(10, 99), random_.randint(10, 99)
        sign = random_.choice("+-")
        if sign == "-" and first < second:
            first, second = second, first
        orders = [f"{first}{sign}{second}"] + [f"{second}+{first}"] * (sign == "+")
        if all(words.is_held_out(order) is held_out for order in orders):
            return first, sign, second


def solved(first: int, sign: str, second: int) -> str:
    """A sum or difference with its result: "17+25=42"."""
    result = first + second if sign == "+" else first - second
    return f"{first}{sign}{second}={result}"


def _spoken(first: int, sign: str, second: int) -> Question:
    return Question(f"What is {first}{sign}{second}?", solved(first, sign, second))


def bars(random_: random.Random, grid: Grid, how: Finish, held_out: bool) -> Example:
    """Three or more bars on a line, one clearly the largest, each with its name below."""
    height, width = pixels(grid)
    count = random_.randint(3, max(3, min(5, grid[1] // 2)))
    pitch, room = width / count, height - 24
    face = Face.any(random_, random_.randint(15, 18))
    names: list[str] = []
    while len(names) < count:
        name = words.name(random_, held_out, *_LETTERS)
        if name not in names and face.extent(name)[0] < pitch - 3:
            names.append(name)
    tops = [random_.uniform(0.15, 0.8) for _ in names]
    largest = random_.randrange(count)
    tops[largest] = min(1.0, max(tops) + random_.uniform(0.1, 0.3))
    sheet, dark = Sheet(grid, paper(random_)), ink(random_)
    same = random_.random() < 0.4
    colours = random_.sample(list(COLOURS), count)
    marks: list[list[Mark]] = []
    for index, (name, share) in enumerate(zip(names, tops, strict=True)):
        left = index * pitch + 3
        box = (left, room - share * (room - 4), left + pitch * 0.6, float(room))
        colour = colours[0] if same else colours[index]
        sheet.draw.rectangle(box, fill=COLOURS[colour])
        sheet.label_shape(box, colour, "square")
        marks.append(sheet.write(left, room + 3, name, face, dark))
    sheet.draw.line([(0, room), (width, room)], fill=dark)
    asked = Question(LARGEST, names[largest], tuple(marks[largest]))
    return Example(sheet.finish(random_, how), (asked,), sheet.labels)
