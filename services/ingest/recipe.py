"""Recipe: what a run does to every input, and the names under which its rows land."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Final

from pipeline.decode import DECODING, DecodePlan, Sampling
from pipeline.land.store import sampling_id
from schemas.errors import SetupError
from schemas.jobs import SEGMENT, TEXT, Task
from schemas.shards import Budget

STANDARD_TASKS = {
    "text": TEXT,
    "caption": Task("caption", "Describe the picture.", 64),
    "ocr": Task("ocr", "Read the text.", 256),
    "segment-caption": Task("segment-caption", "What happens?", 128, SEGMENT),
}
MICRO = 1_000_000
_SAMPLE: Final = re.compile(
    r"(?P<rate>[0-9]{0,6}(\.[0-9]{1,6})?)fps|(?P<count>[0-9]{1,9})(frames)?"
)
_SLOWEST: Final = 1e-4  # frames a second
_FASTEST: Final = 1e4
_FRAMES: Final = 10_000_000
_SIZES: Final = {"width": (64, 7680), "dpi": (36, 600)}
"""Bounds of the pixels of a frame's width, and of an inch of a page ..."""
_BUDGET: Final = {one.name: (4, 16384) for one in fields(Budget)}
"""... and of the visual tokens of each kind of unit."""


@dataclass(frozen=True)
class Recipe:
    """Sampling, model and tasks of a run.

    Attributes:
        plan: how media are decoded.
        tasks: what every picture is asked.
        model: name of the checkpoint, a column value.
        revision: identity of the checkpoint's content.
    """

    plan: DecodePlan
    tasks: tuple[Task, ...]
    model: str
    revision: str

    @property
    def sampling(self) -> str:
        """Identity of how pictures are chosen and sized, readable."""
        plan = self.plan
        how = f"{plan.sampling.mode}={plan.sampling.value:g}"
        cut = f"segment={plan.segment_us / MICRO:g}s"
        sizes = {"width": plan.width, "dpi": plan.dpi, **asdict(plan.budget), "decoding": DECODING}
        return " ".join([how, cut, *(f"{name}={value}" for name, value in sizes.items())])

    @property
    def sampling_id(self) -> str:
        """The sampling as a name for folders: 12 hex digits."""
        return sampling_id(self.sampling)

    def plan_from(self, part: int) -> DecodePlan:
        """The plan that leaves out the parts before `part`."""
        return replace(self.plan, first_part=part)

    @property
    def id(self) -> str:
        """Identity of the whole recipe: 12 hex digits."""
        parts = [self.sampling, self.revision, *sorted(task.prompt_id for task in self.tasks)]
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]


def parse_tasks(
    names: str, questions: Sequence[str], of_video: Sequence[str] = ()
) -> tuple[Task, ...]:
    """Tasks from `--tasks text,caption` and any number of `--ask` and `--ask-video` "question".

    Raises:
        SetupError: `usage`, for a task that does not exist.
    """
    tasks = []
    for name in filter(None, (part.strip() for part in names.split(","))):
        if name not in STANDARD_TASKS:
            known = ", ".join(STANDARD_TASKS)
            message = f"--tasks {name}: no such task; known are {known}, and --ask and --ask-video"
            raise SetupError("usage", message)
        tasks.append(STANDARD_TASKS[name])
    tasks += [Task("ask", text.strip(), 128) for text in questions if text.strip()]
    tasks += [Task("ask", text.strip(), 128, SEGMENT) for text in of_video if text.strip()]
    return tuple(dict.fromkeys(tasks))


def sized(sample: str, width: int | None, dpi: int | None, budget: str = "") -> str:
    """A sampling with the size at which pictures are kept and shown, as jobs carry it.

    Raises:
        SetupError: `usage`, as of `parse_plan`.
    """
    sizes = (("width", width), ("dpi", dpi))
    words = [f"{name}={value}" for name, value in sizes if value is not None]
    text = " ".join([sample, *words, *budget.replace(",", " ").split()])
    parse_plan(text)
    return text


def parse_plan(text: str) -> DecodePlan:
    """Plan from what a job is sampled by: "1fps", "16frames width=1280", "scene dpi=200 page=768".

    Raises:
        SetupError: `usage`.
    """
    sample, *words = text.split(" ")
    plan = DecodePlan(parse_sampling(sample))
    given = dict(_size(text, word) for word in words)
    tokens = {name: given.pop(name) for name in _BUDGET if name in given}
    return replace(plan, budget=replace(plan.budget, **tokens), **given)  # type: ignore[arg-type]


def _size(text: str, word: str) -> tuple[str, int]:
    """A size by its name.

    Raises:
        SetupError: `usage`.
    """
    name, _, value = word.partition("=")
    low, high = (_SIZES | _BUDGET).get(name, (1, 0))
    if not (value.isascii() and value.isdecimal() and low <= int(value[:9]) <= high):
        sizes = ", ".join(f"--{name} {low} to {high}" for name, (low, high) in _SIZES.items())
        tokens = ", ".join(f"{name}={low} to {high}" for name, (low, high) in _BUDGET.items())
        message = f'--sample {text}: {word!r} is no size; give {sizes}, --budget "{tokens}"'
        raise SetupError("usage", message)
    return name, int(value)


def parse_sampling(text: str) -> Sampling:
    """Sampling from `--sample`: "1fps" a rate, "16" or "16frames" a count, or "scene".

    Raises:
        SetupError: `usage`, if it is none of these.
    """
    found = _SAMPLE.fullmatch(text)
    if text == "scene":
        return Sampling("scene", 0.0)
    if found and found["rate"] and _SLOWEST <= float(found["rate"]) <= _FASTEST:
        return Sampling("rate", float(found["rate"]))
    if found and found["count"] and 0 < int(found["count"]) <= _FRAMES:
        return Sampling("count", float(int(found["count"])))
    message = f'--sample {text}: give a rate ("1fps", "0.2fps"), a count ("16frames") or "scene"'
    raise SetupError("usage", message)
