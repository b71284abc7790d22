"""Fleets of 1 to 4,096 decoders in simulation: where throughput stops growing, and why.

    python -m benchmarks.simulate [--measured speed.json] [--plot fleet.svg]

Parts go from the broker through decoding children, encoders and decoders to the lander. Each stage
is a queue before some servers, and all parts that are under way at a time are bounded, as the
windows of the workers bound them. Service times are those that `reelpage bench --json` printed,
or, without, assumed ones. It is closed: a part that has landed lets the next one in, as a corpus
does that waits to be indexed. The lander takes all that waits into one commit.

Fleets differ in what grows with the decoders: nothing, decoding children, encoders as well, and at
last lakes, each with its lander, and topics.
"""

import heapq
import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count, pairwise
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks.common import Report, note, parser, show
from benchmarks.plots import fleet_plot
from services.fleet.predict import Corpus, part_seconds
from services.fleet.queueing import capacity
from services.fleet.times import ServiceTimes, read

_DECODERS: Final = tuple(2**power for power in range(13))
_SEEN: Final = 8  # parts a decoder, and at the least as many as
_LEAST: Final = 600
_COUNTED: Final = (0.3, 0.9)  # of the parts: the first come all at once, the last leave gaps
_BROKER_S: Final = 1 / 4500
"""A record of the broker, which gave so many a second in a trial on two cores."""
_IN_FLIGHT: Final = 3
"""Parts under way for each decoder: one in work, one ready, one on the way."""
_TOGETHER: Final = 512
"""Parts of a commit at the most."""
ASSUMED: Final = ServiceTimes(
    device="cuda",
    threads=1,
    video_s=0.08,
    page_s=0.15,
    visual_s=1 / 40_000,
    prompt_s=1 / 30_000,
    output_s=1 / 3_000,
    land_s=0.1,
    land_part_s=0.0005,
    frame_tokens=768,
    page_tokens=2560,
    prompt_tokens=20,
)
"""Round numbers, assumed; the first two and the lander's are near those of the machine at hand."""


@dataclass(frozen=True)
class Station:
    """A queue and its servers.

    Attributes:
        name: of the stage.
        service_s: of one server for a part, in the mean.
        servers: of the station.
        spread: deviation of a service time over its mean: 0 for equal ones, 1 for exponential ones.
        together_s: where parts that wait are served together, what that takes besides.
    """

    name: str
    service_s: float
    servers: int
    spread: float = 1.0
    together_s: float = 0.0


@dataclass(frozen=True)
class Run:
    """What came of a simulation.

    Attributes:
        parts_s: parts a second, without the beginning and the end.
        busy: share of time of each station's servers.
        wait_s: mean seconds that a part waited at each.
    """

    parts_s: float
    busy: dict[str, float]
    wait_s: dict[str, float]


def simulate(
    stations: Sequence[Station], parts: int, *, in_flight: int, rate: float = 0.0, seed: int = 0
) -> Run:
    """Run so many parts through stations one behind the other, event by event.

    Args:
        stations: in order; each serves first who came first.
        parts: to be done.
        in_flight: parts that are under way at a time, at the most.
        rate: parts a second that come, at random; 0 for all being there from the start.
        seed: of the times.
    """
    return _Simulation(stations, parts, in_flight, rate, np.random.default_rng(seed)).run()


class _Simulation:
    """Parts on their way.

    Events are (time, number, parts, station): those parts leave a server of the station, or, for
    -1, the source; the number keeps the order of what happens at once.
    """

    def __init__(
        self,
        stations: Sequence[Station],
        parts: int,
        in_flight: int,
        rate: float,
        chance: np.random.Generator,
    ) -> None:
        self._stations, self._parts, self._room = stations, parts, in_flight
        gaps = chance.exponential(1 / rate, parts) if rate else np.zeros(parts)
        self._comes = np.cumsum(gaps).tolist()
        self._takes = [_times(one, parts, chance) for one in stations]
        self._free = [one.servers for one in stations]
        self._queues: list[deque[tuple[int, float]]] = [deque() for _ in stations]
        self._busy, self._waited = [0.0] * len(stations), [0.0] * len(stations)
        self._events: list[tuple[float, int, list[int], int]] = []
        self._numbers = count()
        self._landed: list[float] = []
        self._admitted = 0
        self._counted = [math.floor(parts * share) for share in _COUNTED]

    def run(self) -> Run:
        """All events in their order."""
        for _ in range(min(self._room, self._parts)):
            self._admit(0.0)
        while self._events:
            now, _, parts, station = heapq.heappop(self._events)
            if station >= 0:
                self._free[station] += 1
                self._serve(now, station)
            if station + 1 < len(self._stations):
                self._queues[station + 1].extend((part, now) for part in parts)
                self._serve(now, station + 1)
            else:
                self._landed += [now] * len(parts)
                for _ in parts:
                    self._admit(now)
        return self._result()

    def _admit(self, now: float) -> None:
        if self._admitted < self._parts:
            self._plan(max(now, self._comes[self._admitted]), [self._admitted], -1)
            self._admitted += 1

    def _plan(self, at: float, parts: list[int], station: int) -> None:
        heapq.heappush(self._events, (at, next(self._numbers), parts, station))

    def _serve(self, now: float, station: int) -> None:
        """Give what waits to servers that are free."""
        queue, together_s = self._queues[station], self._stations[station].together_s
        while queue and self._free[station]:
            taken = [
                queue.popleft() for _ in range(min(len(queue), _TOGETHER) if together_s else 1)
            ]
            takes = together_s + sum(self._takes[station][part] for part, _ in taken)
            self._free[station] -= 1
            self._busy[station] += takes
            self._waited[station] += sum(now - since for _, since in taken)
            self._plan(now + takes, [part for part, _ in taken], station)

    def _result(self) -> Run:
        first, last = self._counted
        names = [one.name for one in self._stations]
        total_s = self._landed[-1]
        busy = [
            seconds / one.servers / total_s
            for seconds, one in zip(self._busy, self._stations, strict=True)
        ]
        span = self._landed[last] - self._landed[first]
        return Run(
            (last - first) / span,
            dict(zip(names, busy, strict=True)),
            {name: total / self._parts for name, total in zip(names, self._waited, strict=True)},
        )


def _times(station: Station, parts: int, chance: np.random.Generator) -> list[float]:
    """Service times: exponential for a spread of 1, gamma for any other, equal for 0."""
    if not station.spread:
        return [station.service_s] * parts
    shape = station.spread**-2
    drawn: list[float] = chance.gamma(shape, station.service_s / shape, parts).tolist()
    return drawn


SCENARIOS: Final = {
    "decoders alone": ("decode", "encode", "land", "broker"),
    "all but encoders": ("encode", "land", "broker"),
    "all, one lake, one topic": ("land", "broker"),
    "all, more lakes, one topic": ("broker",),
    "all, more lakes, more topics": (),
}
"""Fleets that grow, and the stages of each that do not."""
_SUFFICE: Final = {"decode": 64, "encode": 256}
"""Decoders for which the servers of a stage suffice where they do not grow."""
_SHARE: Final = 256
"""Decoders that have a lake, with its lander, and a topic, where these grow."""


def stations(
    fixed: Sequence[str], decoders: int, times: ServiceTimes, corpus: Corpus
) -> list[Station]:
    """The queues of a fleet, of which some stages do not grow with the decoders."""
    part_s = part_seconds(corpus, times)

    def beside(name: str) -> int:
        """Servers of a stage, so many that decoders seldom wait for it."""
        served = _SUFFICE[name] if name in fixed else decoders
        return max(1, math.ceil(1.2 * served * part_s[name] / part_s["generate"]))

    lakes, topics = (
        1 if name in fixed else math.ceil(decoders / _SHARE) for name in ("land", "broker")
    )
    return [
        Station("broker", _BROKER_S, topics, 0.5),
        Station("decode", part_s["decode"], beside("decode"), 0.5),
        Station("encode", part_s["encode"], beside("encode"), 0.2),
        Station("generate", part_s["generate"], decoders, 0.4),
        Station("land", times.land_part_s, lakes, 0.5, times.land_s),
    ]


def grown(name: str, times: ServiceTimes, corpus: Corpus) -> list[Report]:
    """A row for each number of decoders."""
    rows = []
    for decoders in _DECODERS:
        queues = stations(SCENARIOS[name], decoders, times, corpus)
        parts = max(_LEAST, _SEEN * decoders)
        found = simulate(queues, parts, in_flight=_IN_FLIGHT * decoders + 8)
        bounds = {one.name: capacity(one.service_s, one.servers) for one in queues}
        limit = min(bounds, key=bounds.__getitem__)
        rows.append(
            {
                "scenario": name,
                "decoders": decoders,
                "parts_s": round(found.parts_s, 3),
                "formula_parts_s": round(bounds[limit], 3),
                "limit": limit,
                "busy": {name: round(share, 2) for name, share in found.busy.items()},
            }
        )
    return rows


def why(rows: Sequence[Report]) -> str:
    """Where a scenario stops growing, in words."""
    for before, after in pairwise(rows):
        if after["parts_s"] < 1.5 * before["parts_s"]:
            return (
                f"{before['scenario']}: grows up to {before['decoders']} decoders, "
                f"{before['parts_s']:.3g} parts a second; then {after['limit']} is full"
            )
    last = rows[-1]
    return f"{last['scenario']}: grows up to {last['decoders']} decoders, as far as was looked"


def main() -> None:
    """Simulate, print and plot."""
    options = parser(__doc__)
    options.add_argument("--measured", type=Path, help="what `reelpage bench --json` printed")
    options.add_argument("--plot", type=Path, help="SVG to write")
    chosen = options.parse_args()
    times = read(chosen.measured) if chosen.measured else ASSUMED
    corpus = Corpus(video_hours=1000.0, pages=1_000_000)
    rows: list[Report] = []
    for name in SCENARIOS:
        some = grown(name, times, corpus)
        note(why(some))
        rows += some
    if chosen.plot:
        curves = {
            name: [(row["decoders"], row["parts_s"]) for row in rows if row["scenario"] == name]
            for name in SCENARIOS
        }
        fleet_plot(curves, chosen.plot)
    show("simulate", rows, as_json=chosen.json, assumed=not chosen.measured)


if __name__ == "__main__":
    main()
