"""Crew: ingest workers in simulation, as many as KEDA says, and the partitions that they share.

A slot works on one job, part by part in their order: one part is asked about, and one read ahead.
A job that is handed back goes on behind what has landed of it. An offset is committed once all
before it has landed. A worker that drains reads no more; its partitions rest until its session has
ended (docs/adr/0007). The first who opens a long video makes jobs of its ranges (docs/adr/0008).
"""

import heapq
from collections.abc import Callable, Iterable
from typing import Final

from benchmarks.clock import Clock
from benchmarks.jobs import Job, Question, Slot, Topic, Worker
from benchmarks.keda import Keda
from pipeline.decode import DecodePlan, Sampling
from services.ingest.keys import LONG_US, RANGE_PARTS

_LONG_PARTS: Final = LONG_US // DecodePlan(Sampling("rate", 1.0)).segment_us
_SESSION_S: Final = 10.0
"""After the last word of a worker that went, its partitions move: services.ingest.poller."""
_AWAY_S: Final = 5.0
"""Before a part is asked about again whose replica was lost: services.ingest.slots."""


class Crew:
    """Workers and partitions.

    Attributes:
        targets: numbers of workers that were wanted, one after the other.
        topics: the partitions.
    """

    def __init__(
        self,
        clock: Clock,
        keda: Keda,
        size: tuple[int, int, float],
        read_s: Callable[[int], float],
        ask: Callable[[Question], object],
        landed: Callable[[int, Job], object],
    ) -> None:
        """No worker is there.

        Args:
            clock: of the simulation.
            keda: says how many workers there are.
            size: partitions, slots of a worker, and seconds until it works.
            read_s: seconds to read a part.
            ask: the graph, which calls `answered` or `lost`.
            landed: told of each part and its job.
        """
        self._clock, self._keda = clock, keda
        partitions, self._slots, self._start_s = size
        self._read_s, self._ask, self._landed = read_s, ask, landed
        self.topics = [Topic() for _ in range(partitions)]
        self._workers: list[Worker] = []
        self.targets = [0]

    @property
    def working(self) -> list[Worker]:
        """Workers that take jobs."""
        return [one for one in self._workers if one.works]

    @property
    def gone(self) -> bool:
        """Whether no worker is wanted."""
        return not self.targets[-1]

    @property
    def lag(self) -> int:
        """Jobs that are not committed."""
        return sum(len(one.jobs) - one.committed for one in self.topics)

    def add(self, job: Job, partition: int) -> None:
        """A job comes."""
        topic = self.topics[partition % len(self.topics)]
        topic.add(job)
        if topic.owner is not None:
            self._feed(topic.owner)

    def poll(self) -> None:
        """KEDA looks."""
        self._scale(self._keda.poll(self._clock.now, self.targets[-1], self.lag))

    def sync(self) -> None:
        """The HPA looks."""
        ends = [len(one.jobs) for one in self.topics]
        committed = [one.committed for one in self.topics]
        self._scale(self._keda.sync(self._clock.now, self.targets[-1], ends, committed))

    def answered(self, question: Question) -> None:
        """A part has its answers, and lands if its slot still waits for it."""
        slot = question.slot
        if slot.turn != question.turn or slot.topic is None or slot.asked != question.part:
            return
        job = slot.topic.jobs[slot.offset]
        slot.asked, job.done = None, job.done + 1
        self._landed(question.part, job)
        if job.done == job.parts:
            self._end(slot, slot.topic, job)
        else:
            self._go_on(slot)

    def lost(self, question: Question) -> None:
        """A part's replica was lost; the slot asks again."""
        self._clock.after(_AWAY_S, self._ask_again, question)

    def kill(self) -> None:
        """The first worker is killed, if there is one; the Deployment starts another."""
        for worker in self.working[:1]:
            self._workers.remove(worker)
            worker.works = worker.lives = False
            for slot in worker.slots:
                self._leave(slot)
            self._clock.after(_SESSION_S, self._share)
            self._start()

    def _ask_again(self, question: Question) -> None:
        if question.slot.turn == question.turn and question.slot.asked == question.part:
            self._ask(question)

    def _scale(self, target: int) -> None:
        if target == self.targets[-1]:
            return
        self.targets.append(target)
        while len(self._workers) < target:
            self._start()
        while len(self._workers) > target:
            self._drain(min(reversed(self._workers), key=lambda one: one.works))

    def _start(self) -> None:
        worker = Worker()
        worker.slots = [Slot(worker) for _ in range(self._slots)]
        self._workers.append(worker)
        self._clock.after(self._start_s, self._join, worker)

    def _join(self, worker: Worker) -> None:
        if worker.lives:
            worker.works = True
            self._share()

    def _drain(self, worker: Worker) -> None:
        self._workers.remove(worker)
        worker.works = False
        for slot in worker.slots:
            self._go_on(slot)

    def _leave_if_done(self, worker: Worker) -> None:
        if worker.lives and all(slot.topic is None for slot in worker.slots):
            worker.lives = False
            self._clock.after(_SESSION_S, self._share)

    def _share(self) -> None:
        """Partitions of workers that went get new owners, and as few move as makes shares equal."""
        working = self.working
        if not working:
            return
        owned: dict[Worker, list[Topic]] = {one: [] for one in working}
        for topic in self.topics:
            if topic.owner in owned:
                owned[topic.owner].append(topic)
        for topic in self.topics:
            if topic.owner is None or not topic.owner.lives:
                owned[min(working, key=lambda one: len(owned[one]))].append(topic)
        for poor in working:
            for rich in working:
                while len(owned[rich]) > len(owned[poor]) + 1:
                    owned[poor].append(owned[rich].pop())
        for worker, topics in owned.items():
            self._own(worker, topics)

    def _own(self, worker: Worker, topics: Iterable[Topic]) -> None:
        for topic in topics:
            if topic.owner not in (None, worker):
                self._revoke(topic)
            topic.owner = worker
        self._feed(worker)

    def _revoke(self, topic: Topic) -> None:
        """Whoever works on its jobs drops what it made."""
        for slot in topic.owner.slots if topic.owner is not None else ():
            if slot.topic is topic:
                self._leave(slot)

    def _feed(self, worker: Worker) -> None:
        """Slots that have no job get one."""
        if not worker.works:
            return
        for slot in worker.slots:
            if slot.topic is None:
                waiting = [one for one in self.topics if one.owner is worker and one.waiting]
                if not waiting:
                    return
                self._take(slot, min(waiting, key=lambda one: one.jobs[one.waiting[0]].came))

    def _take(self, slot: Slot, topic: Topic) -> None:
        slot.turn, slot.topic, slot.offset = slot.turn + 1, topic, heapq.heappop(topic.waiting)
        job = topic.jobs[slot.offset]
        slot.following = job.first + job.done
        self._go_on(slot)

    def _leave(self, slot: Slot) -> None:
        """Hand the job back."""
        if slot.topic is not None:
            heapq.heappush(slot.topic.waiting, slot.offset)
            self._clear(slot)

    def _clear(self, slot: Slot) -> None:
        slot.turn, slot.topic = slot.turn + 1, None
        slot.reading, slot.read, slot.asked = False, None, None

    def _go_on(self, slot: Slot) -> None:
        """Ask about what was read, and read what follows; one that drains reads no more."""
        if slot.topic is None:
            if not slot.worker.works:
                self._leave_if_done(slot.worker)
            return
        if slot.read is not None and slot.asked is None:
            slot.asked, slot.read = slot.read, None
            self._ask(Question(slot, slot.turn, slot.asked))
        job = slot.topic.jobs[slot.offset]
        more = slot.following < job.first + job.parts
        if slot.worker.works and more and not slot.reading and slot.read is None:
            slot.reading = True
            self._clock.after(self._read_s(slot.following), self._has_read, slot, slot.turn)
        elif not slot.worker.works and slot.rests:
            self._leave(slot)
            self._leave_if_done(slot.worker)

    def _has_read(self, slot: Slot, turn: int) -> None:
        if slot.turn != turn or slot.topic is None:
            return
        job = slot.topic.jobs[slot.offset]
        slot.reading = False
        if job.parts > _LONG_PARTS and not job.opened:
            self._fan_out(slot, slot.topic, job)
            return
        slot.read, slot.following = slot.following, slot.following + 1
        self._go_on(slot)

    def _fan_out(self, slot: Slot, topic: Topic, job: Job) -> None:
        """Ranges go to the partitions in turn: services.topic.homes."""
        place = self.topics.index(topic)
        firsts = range(job.first, job.first + job.parts, RANGE_PARTS)
        last = job.first + job.parts
        for number, first in enumerate(firsts):
            self.add(
                Job(job.came, first, min(RANGE_PARTS, last - first), opened=True), place + number
            )
        self._end(slot, topic, job)

    def _end(self, slot: Slot, topic: Topic, job: Job) -> None:
        job.ended = True
        topic.commit()
        self._clear(slot)
        self._go_on(slot)
        self._feed(slot.worker)
