"""Progress: what each stage has done, and the live table that shows it."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

_WORTH: Final = 0.5


@dataclass
class Stage:
    """Counts of one stage."""

    name: str
    unit: str
    done: int = 0


@dataclass
class Progress:
    """Counts of a run. `fraction` of the work is by inputs, within a medium by time.

    `seconds` tells for how long stages have worked, by their names.
    """

    total_inputs: int = 0
    seconds: Callable[[], Mapping[str, float]] = dict
    _partial: dict[str, float] = field(default_factory=dict)
    current: str = ""
    started: float = field(default_factory=time.monotonic)
    consume: Stage = field(default_factory=lambda: Stage("consume", "inputs"))
    decode: Stage = field(default_factory=lambda: Stage("decode", "pictures"))
    recognise: Stage = field(default_factory=lambda: Stage("recognise", "lines"))
    encode: Stage = field(default_factory=lambda: Stage("encode", "visual tokens"))
    generate: Stage = field(default_factory=lambda: Stage("generate", "answers"))
    land: Stage = field(default_factory=lambda: Stage("land", "rows"))

    def advance(self, job: str, share: float) -> None:
        """Count a share of a medium in work."""
        self._partial[job] = min(self._partial.get(job, 0.0) + share, 1.0)

    def finish(self, job: str) -> None:
        """Count a medium as done, whatever shares of it were counted before."""
        self._partial.pop(job, None)

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The stages in the order of the data."""
        both = (self.encode, self.generate)
        return (self.consume, self.decode, self.recognise, *both, self.land)

    @property
    def busy(self) -> dict[str, float]:
        """Share of the time so far in which a stage worked, 0 to 1; the sum may be more than 1."""
        spent = max(time.monotonic() - self.started, 1e-3)
        return {name: min(seconds / spent, 1.0) for name, seconds in self.seconds().items()}

    @property
    def fraction(self) -> float:
        """Share of the inputs that is done, 0 to 1."""
        done = self.consume.done + sum(list(self._partial.values()))
        return min(done / self.total_inputs, 1.0) if self.total_inputs else 0.0

    @property
    def eta_s(self) -> float | None:
        """Seconds left at the mean rate so far, or None before there is one."""
        spent = time.monotonic() - self.started
        if self.fraction < 0.01 or spent < 1:
            return None
        return spent * (1 - self.fraction) / self.fraction


def clock(seconds: float | None) -> str:
    """Seconds as h:mm:ss, or "-" for None."""
    if seconds is None:
        return "-"
    minutes, second = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{second:02}"


def bottleneck(busy: Mapping[str, float]) -> str:
    """The stage that works most of the time; none where all of them wait for the most part."""
    slowest = max(busy, key=lambda name: busy[name], default="")
    return slowest if slowest and busy[slowest] > _WORTH else ""


def stage_table(progress: Progress) -> Group:
    """The live view: a row a stage, a bar over all inputs, the medium in work."""
    spent = max(time.monotonic() - progress.started, 1e-3)
    table = Table(box=None, pad_edge=False)
    table.add_column("stage")
    for column in ("done", "rate", "busy"):
        table.add_column(column, justify="right")
    table.add_column()
    busy = progress.busy
    slowest = bottleneck(busy)
    for stage in progress.stages:
        done = f"{stage.done:,} {stage.unit}"
        rate = f"{stage.done / spent:,.1f}/s"
        share = f"{busy[stage.name]:.0%}" if stage.name in busy else "-"
        table.add_row(stage.name, done, rate, share, "bottleneck" if stage.name == slowest else "")
    line = Text(f"{progress.consume.done:,} of {progress.total_inputs:,} inputs", style="bold")
    line.append(f"  {progress.fraction:.0%}  ETA {clock(progress.eta_s)}  {progress.current}")
    line.truncate(100, overflow="ellipsis")
    return Group(table, ProgressBar(total=1.0, completed=progress.fraction, width=60), line)


class _View:
    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def __rich__(self) -> Group:
        return stage_table(self._progress)


@contextmanager
def live(progress: Progress, console: Console, *, quiet: bool) -> Iterator[None]:
    """Show the stage table on a terminal while the block runs; elsewhere show nothing."""
    if quiet or not console.is_terminal:
        yield
        return
    with Live(_View(progress), console=console, refresh_per_second=4):
        yield
