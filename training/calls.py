"""Calls: a line that holds an argument, two tools on offer, and the call that answers.

Cities, flight numbers and order ids are held out by the hash that holds out words.
"""

import random
from typing import Final

from pipeline.vlm.tools import Call, as_text
from training.canvas import Example, Finish, Grid, Question
from training.functions import AIRLINES, CITIES, FLIGHT, FUNCTIONS, ORDER, WEATHER, Function
from training.phrases import NO_TOOL
from training.sheet import lone_line
from training.words import is_held_out

_NONE_FITS: Final = 0.2
_SIZES: Final = (17, 26)
"""Of the letters, in pixels."""


def tool_call(random_: random.Random, grid: Grid, how: Finish, held_out: bool) -> Example:
    """A question that one of two tools helps with, or neither."""
    function = random_.choice((FLIGHT, WEATHER, ORDER))
    argument = _argument(random_, function, held_out)
    others = random_.sample([one for one in FUNCTIONS if one is not function], 2)
    fits = random_.random() >= _NONE_FITS
    offered = [function, others[0]] if fits else others
    random_.shuffle(offered)
    answer = as_text(Call(function.name, {function.parameter: argument})) if fits else NO_TOOL
    at = answer.find(f'"{argument}"') + 1
    sheet, marks = lone_line(random_, grid, how, argument, _SIZES, at)
    return Example(
        sheet.finish(random_, how),
        (Question(function.question, answer, tuple(marks) if fits else ()),),
        sheet.labels,
        tools=tuple(one.as_json() for one in offered),
    )


def _argument(random_: random.Random, function: Function, held_out: bool) -> str:
    while True:
        text = str(random_.randrange(10000, 1000000))
        if function is FLIGHT:
            text = random_.choice(AIRLINES) + str(random_.randrange(10, 10000))
        elif function is WEATHER:
            text = random_.choice(CITIES)
        if is_held_out(text) is held_out:
            return text
