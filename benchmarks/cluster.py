"""Cluster: the pipeline in simulation, from no worker and no GPU to all of them and back.

It is open: media come when they come. Workers cut the media of their partitions into parts and ask
the graph about each. A part passes an encoder and a decoder, and lands. What is simulated is what
scaling depends on:

- The graph admits so many parts at a time; others wait in the workers, where Serve sees nothing.
- A worker first asks a decoder what model there is, so from nothing the first decoder comes before
  the first encoder.
- A part goes to the replica with the fewest, and stays there.
- A decoder that has few answers in work makes each of its steps for few.
- A part that is lost with its replica is asked about again.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from benchmarks.clock import Clock
from benchmarks.crew import Crew
from benchmarks.jobs import Job, Question
from benchmarks.keda import POLL_S, SYNC_S, Keda
from benchmarks.outcome import Moment, Outcome
from benchmarks.serving import LOOK_S, PUSH_S, Autoscaler
from benchmarks.stage import Stage, Work
from benchmarks.thresholds import Cluster, Thresholds
from benchmarks.traffic import Arrival
from services.fleet.times import ServiceTimes
from services.graph.scaling import Waiting

_FRAMES: Final = 10  # of a part: ten seconds of video at one a second
_ANSWER_TOKENS: Final = 64  # of an answer, in the mean
_ANSWER_BOUND: Final = 128  # of an answer at the most, by which decoders count
_TOGETHER: Final = 64  # answers at a time, as the times of a decoder were measured
_KNOCK_S: Final = 0.01
_SERIES_S: Final = 60.0
_LONGEST_S: Final = 7 * 86_400.0


@dataclass(frozen=True)
class Death:
    """Who dies when: the first "encoder", "decoder" or "worker" that is there."""

    second: float
    who: str


@dataclass(frozen=True)
class _Knock:
    """Asks a decoder what model there is; then the question, if there is one, goes on."""

    before: Question | None


_Asked = Question | _Knock


def run(
    arrivals: Sequence[Arrival],
    times: ServiceTimes,
    thresholds: Thresholds,
    cluster: Cluster,
    deaths: Sequence[Death] = (),
    seed: int = 0,
) -> Outcome:
    """Let media come, until all has landed and all who work have gone."""
    parts = sum(one.parts for one in arrivals)
    pipeline = _Pipeline(_Parts(times, parts, seed), thresholds, cluster)
    return pipeline.run(arrivals, deaths, np.random.default_rng(seed))


class _Parts:
    """What each part takes, and what it costs."""

    def __init__(self, times: ServiceTimes, parts: int, seed: int) -> None:
        """Draw the times, gamma of the spreads that `benchmarks.simulate` has."""
        chance = np.random.default_rng(seed)
        prompt_s = _FRAMES * (times.frame_tokens + times.prompt_tokens) * times.prompt_s
        self.count = parts
        self.visual = _FRAMES * times.frame_tokens
        self._read = _drawn(_FRAMES * times.video_s, 0.5, parts, chance)
        self._encode = _drawn(self.visual * times.visual_s, 0.2, parts, chance)
        self._prompt = _drawn(prompt_s, 0.4, parts, chance)
        self._answer_s = _FRAMES * _ANSWER_TOKENS * times.output_s

    def read_s(self, part: int) -> float:
        """Of a decoding child."""
        return self._read[part]

    def encode_s(self, asked: _Asked, _: int) -> float:
        """Of an encoder, which a single part fills."""
        return _KNOCK_S if isinstance(asked, _Knock) else self._encode[asked.part]

    def generate_s(self, asked: _Asked, present: int) -> float:
        """Of a decoder, whose step takes as long for few answers as for many."""
        if isinstance(asked, _Knock):
            return _KNOCK_S
        return self._prompt[asked.part] + self._answer_s * max(1, _TOGETHER / (_FRAMES * present))

    def encode_cost(self, asked: _Asked) -> int:
        """Visual tokens."""
        return 0 if isinstance(asked, _Knock) else self.visual

    def generate_cost(self, asked: _Asked) -> int:
        """Tokens to decode, at the most."""
        return 0 if isinstance(asked, _Knock) else _FRAMES * _ANSWER_BOUND


def _drawn(mean_s: float, spread: float, parts: int, chance: np.random.Generator) -> list[float]:
    drawn: list[float] = chance.gamma(spread**-2, mean_s * spread**2, parts).tolist()
    return drawn


class _Pipeline:
    """Crew, graph and both stages, joined."""

    def __init__(self, parts: _Parts, thresholds: Thresholds, cluster: Cluster) -> None:
        self._clock, self._cluster, self._admitted = Clock(), cluster, thresholds.admitted
        size = cluster.partitions, cluster.slots, cluster.worker_s
        keda = Keda(thresholds.scaled)
        self._crew = Crew(self._clock, keda, size, parts.read_s, self._ask, self._landed)
        encode = Work(parts.encode_s, parts.encode_cost, self._encoded, self._lost)
        generate = Work(parts.generate_s, parts.generate_cost, self._generated, self._lost)
        encoders = Autoscaler(
            thresholds.bounds(cluster.encoders), Waiting(thresholds.encoder_share)
        )
        decoders = Autoscaler(
            thresholds.bounds(cluster.decoders), Waiting(thresholds.decoder_share)
        )
        self._encoder = Stage(self._clock, encoders, cluster.nodes, encode)
        self._decoder = Stage(self._clock, decoders, cluster.nodes, generate)
        self._inside, self._outside = 0, deque[Question]()
        self._left = parts.count
        self._found = Outcome(bytearray(parts.count))

    def run(
        self, arrivals: Sequence[Arrival], deaths: Sequence[Death], chance: np.random.Generator
    ) -> Outcome:
        """All that happens."""
        first = 0
        homes = chance.integers(0, self._cluster.partitions, len(arrivals)).tolist()
        for one, home in zip(arrivals, homes, strict=True):
            job = Job(one.second, first, one.parts)
            self._clock.after(one.second, self._crew.add, job, home)
            first += one.parts
        comes = [one.second for one in arrivals]
        self._found.came_s = max(comes) - min(comes)
        for death in deaths:
            self._clock.after(death.second, self._deaths[death.who])
        for seconds, act in self._regular:
            self._clock.every(seconds, act)
        self._clock.run(self._ended, _LONGEST_S)
        return self._result()

    @property
    def _deaths(self) -> dict[str, Callable[[], None]]:
        stages = {"encoder": self._encoder.lose, "decoder": self._decoder.lose}
        return stages | {"worker": self._crew.kill}

    @property
    def _regular(self) -> list[tuple[float, Callable[[], None]]]:
        return [
            (POLL_S, self._crew.poll),
            (SYNC_S, self._crew.sync),
            (PUSH_S, self._encoder.report),
            (PUSH_S, self._decoder.report),
            (LOOK_S, self._encoder.look),
            (LOOK_S, self._decoder.look),
            (_SERIES_S, self._note),
        ]

    def _ended(self) -> bool:
        return not self._left and self._crew.gone and self._encoder.gone and self._decoder.gone

    def _ask(self, question: Question) -> None:
        """The graph admits it, or it waits outside."""
        if self._inside >= self._admitted:
            self._outside.append(question)
            return
        self._inside += 1
        self._enter(question)

    def _enter(self, question: Question) -> None:
        if self._decoder.running or self._encoder.running:
            self._encoder.ask(question)
        elif self._cluster.both:
            self._decoder.ask(_Knock(None))
            self._encoder.ask(question)
        else:
            self._decoder.ask(_Knock(question))

    def _left_graph(self) -> None:
        self._inside -= 1
        if self._outside:
            self._ask(self._outside.popleft())

    def _encoded(self, asked: _Asked) -> None:
        self._decoder.ask(asked)

    def _generated(self, asked: _Asked) -> None:
        if isinstance(asked, Question):
            self._left_graph()
            self._crew.answered(asked)
        elif asked.before is not None:
            self._encoder.ask(asked.before)

    def _lost(self, asked: _Asked) -> None:
        question = asked.before if isinstance(asked, _Knock) else asked
        if question is not None:
            self._left_graph()
            self._crew.lost(question)

    def _landed(self, part: int, job: Job) -> None:
        found, now = self._found, self._clock.now
        found.landings[part] += 1
        found.ages.append(now - job.came)
        found.drained_s = now
        self._left -= 1

    def _note(self) -> None:
        found, lag = self._found, self._crew.lag
        working = len(self._crew.working)
        found.peak_lag = max(found.peak_lag, lag)
        found.series.append(
            Moment(self._clock.now, lag, working, self._encoder.running, self._decoder.running)
        )

    def _result(self) -> Outcome:
        found, stages = self._found, (self._encoder, self._decoder)
        found.zero_s = self._clock.now
        found.gpu_s = sum(one.gpu_s for one in stages)
        found.idle_s = found.gpu_s - sum(one.busy_s for one in stages)
        found.targets = [self._crew.targets, *(one.targets for one in stages)]
        return found
