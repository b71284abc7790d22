"""Predict: replicas, hours and cost of a corpus by a deadline.

Every stage has to carry the same parts a second, so each gets the fewest servers that are busy no
more than `BUSY` of their time by the utilisation law. Nobody waits for the sum of the stages: they
overlap, and their queues are short as long as no stage is full.
"""

import math
from dataclasses import dataclass
from typing import Final

from pipeline.decode import DecodePlan, Sampling
from pipeline.land.commit import GATHERS_S
from services.fleet.queueing import mean_wait_s, utilisation
from services.fleet.times import ServiceTimes

BUSY: Final = 0.85
"""What is left is for replicas that start again, and for work that comes unevenly."""
_HOUR_S: Final = 3600.0
_PLAN: Final = DecodePlan(Sampling("rate", 1.0))


@dataclass(frozen=True)
class Corpus:
    """What is to be indexed.

    Attributes:
        video_hours: of all videos.
        pages: of all documents, and single pictures.
        tasks: prompts about each picture.
        answer_tokens: of an answer, in the mean.
    """

    video_hours: float
    pages: int
    tasks: int = 1
    answer_tokens: int = 64

    @property
    def parts(self) -> float:
        """Segments of videos and shards of pages."""
        segments = self.frames * 1_000_000 / _PLAN.segment_us
        return segments + self.pages / _PLAN.pages_per_part

    @property
    def frames(self) -> float:
        """At one a second."""
        return self.video_hours * _HOUR_S


@dataclass(frozen=True)
class Stage:
    """What one stage needs.

    Attributes:
        name: of the stage.
        part_s: seconds of one server for a part of the corpus, in the mean.
        replicas: servers that it gets.
        busy: share of their time.
        wait_s: mean seconds that a part waits for one, if parts come at random (M/M/c); of the
            lander, from one commit to the next. None where it would never end.
        gpus: of each server.
        cores: of each server that has no GPU.
    """

    name: str
    part_s: float
    replicas: int
    busy: float
    wait_s: float | None
    gpus: int = 0
    cores: int = 1


@dataclass(frozen=True)
class Fleet:
    """A whole fleet.

    Attributes:
        hours: that it runs.
        parts_s: parts a second.
        stages: in the order of the data.
        gpu_hours: paid for.
        core_hours: paid for.
        cost: of both, in the currency of the prices.
    """

    hours: float
    parts_s: float
    stages: tuple[Stage, ...]
    gpu_hours: float
    core_hours: float
    cost: float


def part_seconds(corpus: Corpus, times: ServiceTimes) -> dict[str, float]:
    """Seconds of one server of each stage for a part, in the mean over the corpus.

    Raises:
        ZeroDivisionError: for a corpus of nothing.
    """
    frames, pages = corpus.frames, corpus.pages
    visual = frames * times.frame_tokens + pages * times.page_tokens
    answers = (frames + pages) * corpus.tasks
    prompts = visual + answers * times.prompt_tokens  # a picture is read once for all its prompts
    totals = {
        "decode": frames * times.video_s + pages * times.page_s,
        "encode": visual * times.visual_s,
        "generate": prompts * times.prompt_s + answers * corpus.answer_tokens * times.output_s,
    }
    return {name: total / corpus.parts for name, total in totals.items()}


def predict(
    corpus: Corpus, times: ServiceTimes, within_s: float, gpu_price: float, core_price: float
) -> Fleet:
    """The smallest fleet that is done within a time.

    Args:
        corpus: at least one part.
        times: measured on the machines that it will have.
        within_s: seconds.
        gpu_price: of a GPU for an hour.
        core_price: of a processor's core for an hour.
    """
    rate = corpus.parts / within_s
    model = (1, 0) if times.device.startswith("cuda") else (0, times.threads)
    stages = [
        _stage(name, rate, part_s, *((0, 1) if name == "decode" else model))
        for name, part_s in part_seconds(corpus, times).items()
    ]
    stages.append(_lander(rate, times))
    hours = within_s / _HOUR_S
    gpu = sum(one.replicas * one.gpus for one in stages) * hours
    core = sum(one.replicas * one.cores for one in stages) * hours
    cost = gpu * gpu_price + core * core_price
    return Fleet(hours, rate, tuple(stages), gpu, core, cost)


def _stage(name: str, rate: float, part_s: float, gpus: int, cores: int) -> Stage:
    replicas = max(1, math.ceil(rate * part_s / BUSY))
    busy, wait_s = utilisation(rate, part_s, replicas), mean_wait_s(rate, part_s, replicas)
    return Stage(name, part_s, replicas, busy, wait_s, gpus, cores)


def _lander(rate: float, times: ServiceTimes) -> Stage:
    """One for all: what comes while a commit is written shares the next one."""
    busy = rate * times.land_part_s
    if busy >= 1:
        return Stage("land", times.land_part_s, 1, busy, None)
    period = (GATHERS_S + times.land_s) / (1 - busy)
    gathered = max(1.0, rate * period)
    part_s = times.land_s / gathered + times.land_part_s
    return Stage("land", part_s, 1, utilisation(rate, part_s, 1), period)
