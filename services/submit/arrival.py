"""Arrival: whether what was submitted has landed, and how it ended."""

import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from pipeline.land.place import Place
from pipeline.land.positions import is_rolled_forward, positions
from pipeline.land.protocol import STRUCTURE
from pipeline.land.window import next_offset
from services.ingest.letters import letter_of
from services.inspect.failures import open_failures
from services.inspect.lag import app_of
from services.patience import patiently
from services.settings import Settings
from services.submit.jobs import Question
from services.submit.sent import Sent
from services.topic.log import open_log

_POLL_S: Final = 1.0
_BECOMES: Final = 2
"""A job may come again under another key, and that one as ranges."""


def wait(sent: Sent, settings: Settings, place: Place, show: Callable[[int], None]) -> None:
    """Wait until all jobs and what became of them are in the tables; patient with every service.

    Args:
        sent: the jobs.
        settings: of the stream.
        place: its lake.
        show: told how many of them have landed.

    Raises:
        SetupError: what the broker or the store say.
    """
    while (landed := sent.landed(_landed(settings, place, sent.runs))) < len(sent):
        show(landed)
        time.sleep(_POLL_S)
    show(landed)
    for _ in range(_BECOMES):
        ends = patiently(lambda: _ends(settings))
        while not _are_before(ends, _landed(settings, place, ends)):
            time.sleep(_POLL_S)
    for number in ends:
        app = app_of(settings, number)
        while not patiently(partial(is_rolled_forward, place, app)):
            time.sleep(_POLL_S)


def count_failed(sent: Sent, question: Question, place: Place) -> int:
    """How many of these jobs have an open failure, of their own or of an equal job before them."""
    rows = patiently(lambda: open_failures(place, "unit <> 'page'")).to_pylist()
    ids = {row["run_id"].partition("/")[0] for row in rows}
    known = [row for row in rows if sent.has_key(row["input_id"])]
    keys = {row["input_id"] for row in known if _is_about(place, row, question)}
    return sent.count(ids, keys)


def _is_about(place: Place, failure: Mapping[str, Any], question: Question) -> bool:
    """Whether a failure left something undone that the question asks for."""
    letter = patiently(lambda: letter_of(place.objects, failure))
    if letter is None or letter.job.sample != question.sample:
        return False
    ends = (STRUCTURE, *(f"-{task.prompt_id}" for task in question.tasks))
    return any(column.endswith(ends) for _, column in letter.columns)


def _landed(settings: Settings, place: Place, numbers: Mapping[int, Any]) -> dict[int, int]:
    """Of each partition the first offset that has not landed to its end."""
    apps = {number: app_of(settings, number) for number in numbers}
    known = patiently(lambda: positions(place, list(apps.values())))
    return {number: next_offset(known[app]) for number, app in apps.items()}


def _ends(settings: Settings) -> dict[int, int]:
    with open_log(settings) as log:
        return {number: one.end for number, one in log.bounds({}).items()}


def _are_before(ends: Mapping[int, int], landed: Mapping[int, int]) -> bool:
    return all(end <= landed[number] for number, end in ends.items())
