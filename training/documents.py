"""Documents: a page with a title, a small table and a field, and the questions on them."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from training import words
from training.canvas import Example, Finish, Grid, Mark, Question, ink, paper, pixels
from training.phrases import NOT_SHOWN
from training.sheet import Face, Sheet

TITLE: Final = "What is the title?"
_ABSENT: Final = 0.12
_QUESTIONS: Final = 5
"""On a page; all but the first ask for cells, and equal ones are asked once."""
_LETTERS: Final = (3, 6)
"""Fewest and most letters of a name."""


@dataclass(frozen=True)
class Page:
    """What stands on a page.

    Attributes:
        title: its first line.
        columns: names over the table.
        rows: names beside it.
        cells: its values, row by row.
        key: of the field under it.
        value: of that field.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[str, ...]
    cells: tuple[tuple[str, ...], ...]
    key: str
    value: str


def page(random_: random.Random, grid: Grid, how: Finish, held_out: bool) -> Example:
    """A page of at least 4 x 5 cells with questions."""
    height, width = pixels(grid)
    pitch = min(height / grid[0], 28.0)
    while True:
        content = _content(random_, grid, held_out)
        face = Face.any(random_, random_.randint(15, 19))
        spots = _layout(content, width, pitch)
        if all(left + face.extent(text)[0] < end for left, _, text, end in spots):
            break
    scale = 2 if random_.random() < how.reduced else 1
    sheet, dark = Sheet(grid, paper(random_), scale), ink(random_)
    left, top = random_.randint(0, 4), random_.randint(1, 6)
    found: dict[str, tuple[int, ...]] = {}
    for x, y, text, _ in spots:
        marks = sheet.write(x + left, y + top, text, face, dark)
        found |= _where(text, marks)
    if random_.random() < 0.6:
        line = (top + 2 * pitch - 4) * scale
        sheet.draw.line([(0, line), (width * scale, line)], fill=dark, width=scale)
    kind = random_.choices(("title", "cell", "key"), weights=(1, 3, 1.5))[0]
    kinds = (kind, *("cell",) * (_QUESTIONS - 1))
    asked = [question(random_, content, kind, held_out) for kind in kinds]
    names = (*content.columns, *content.rows, content.key)
    questions = tuple(_marked(prompt, answer, names, found) for prompt, answer in asked)
    return Example(sheet.finish(random_, how), questions, sheet.labels)


def _where(text: str, marks: list[Mark]) -> dict[str, tuple[int, ...]]:
    """Cells of a text, and of the two halves of a field."""
    key, _, value = text.partition(": ")
    spans = {text: marks, key: marks[: len(key)], value: marks[len(text) - len(value) :]}
    return {
        part: tuple(sorted({cell for mark in letters for cell in mark.cells}))
        for part, letters in spans.items()
        if part
    }


def _marked(
    prompt: str, answer: str, names: Sequence[str], found: dict[str, tuple[int, ...]]
) -> Question:
    """The question with the places of the names in it, and of its answer."""
    marks = [
        Mark(begin, begin + len(name), found[name], answer=False)
        for name in names
        if (begin := max(prompt.find(f" {name} "), prompt.find(f" {name}?")) + 1)
    ]
    if answer != NOT_SHOWN:
        marks.append(Mark(0, len(answer), found[answer]))
    return Question(prompt, answer, tuple(marks))


def _content(random_: random.Random, grid: Grid, held_out: bool) -> Page:
    across = 2 if grid[1] >= 6 else 1
    down = grid[0] - 3
    names = _distinct(across + down + 1, lambda: words.name(random_, held_out, *_LETTERS))
    title = words.line(random_, held_out, 2 * grid[1] - 2)
    values = _distinct(across * down + 1, lambda: _value(random_, held_out))
    cells = tuple(tuple(values[row * across : (row + 1) * across]) for row in range(down))
    return Page(title, tuple(names[:across]), tuple(names[across:-1]), cells, names[-1], values[-1])


def _distinct(count: int, draw: Callable[[], str]) -> list[str]:
    """So that a name and a value stand in one place."""
    found: dict[str, None] = {}
    while len(found) < count:
        found[draw()] = None
    return list(found)


def _value(random_: random.Random, held_out: bool) -> str:
    while words.is_held_out(text := str(random_.randrange(10, 1000))) is not held_out:
        pass
    return text


def _layout(content: Page, width: int, pitch: float) -> list[tuple[float, float, str, float]]:
    """Left, top, text and right end of each line of the page."""
    step = (width - 4) / (len(content.columns) + 1)
    spots = [(0.0, 0.0, content.title, width - 4.0)]
    table = [("", *content.columns)]
    table += [(name, *cells) for name, cells in zip(content.rows, content.cells, strict=True)]
    for row, texts in enumerate(table, start=1):
        spots += [
            (step * column, pitch * row, text, step * (column + 1) - 3)
            for column, text in enumerate(texts)
            if text
        ]
    last = pitch * (len(table) + 1)
    spots.append((0.0, last, f"{content.key}: {content.value}", width - 4.0))
    return spots


def cell_question(row: str, column: str) -> str:
    """The question for a value of the table."""
    return f"What is {column} of {row}?"


def key_question(key: str) -> str:
    """The question for the value of a field."""
    return f"What is {key}?"


def question(random_: random.Random, content: Page, kind: str, held_out: bool) -> tuple[str, str]:
    """A question for the title, a cell or a key; some ask for what is not there."""
    absent = random_.random() < _ABSENT
    while (other := words.name(random_, held_out, *_LETTERS)) in (
        *content.rows,
        *content.columns,
        content.key,
    ):
        pass
    if kind == "title":
        return TITLE, content.title
    if kind == "key":
        asked = other if absent else content.key
        return key_question(asked), NOT_SHOWN if absent else content.value
    row, column = random_.randrange(len(content.rows)), random_.randrange(len(content.columns))
    if absent:
        return cell_question(other, content.columns[column]), NOT_SHOWN
    answer = content.cells[row][column]
    return cell_question(content.rows[row], content.columns[column]), answer
