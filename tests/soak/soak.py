"""Soak: servers, graphs, workers, a bad network and a seeded schedule of kills, to a verdict."""

import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Literal

from pipeline.land.commit import GroupCommitter
from pipeline.land.protocol import LEDGER
from pipeline.land.window import next_offset
from schemas.errors import TransientError
from schemas.jobs import Job
from services.machine import HOST
from services.settings import Settings
from services.stack.ports import Ports
from services.stack.servers import Servers
from services.storage.places import open_place
from services.topic.broker import Sender, make_topic
from services.topic.log import open_log
from tests.soak.check import check
from tests.soak.graph import WRITES
from tests.soak.members import Member
from tests.soak.network import Network
from tests.soak.work import Media, expected, submissions

PARTITIONS = 4
_DRAIN_S = 31.0  # a second for the end of the interpreter


@dataclass(frozen=True)
class Plan:
    """How long and how hard.

    Attributes:
        kills: SIGKILLs of workers, graphs, the broker and S3, in all.
        seed: of the schedule, the faults and the order of jobs.
        minutes: the kills and the submissions are spread over.
        pictures: of the media; other kinds are as many in every run.
        workers: processes.
        graphs: processes, each a stub of the model and a lander; the workers take turns at them.
        session_s: silence after which a worker loses its partitions.
        fault_s: seconds between faults of the network.
        service_s: seconds for the answers about a shard.
        settle_s: time for all to land once nothing fails any more.
        control: nothing but pauses, instead of kills: each time a lander is stopped between its
            check and its write until another one has written the same. "sound" is the product's
            way; "naive" has them write as `write_deltalake` does, and rows have to be doubled.
    """

    kills: int
    seed: int
    minutes: float
    pictures: int = 12
    workers: int = 3
    graphs: int = 2
    session_s: float = 6.0
    fault_s: float = 1.0
    service_s: float = 0.02
    settle_s: float = 240.0
    control: Literal["", "sound", "naive"] = ""


PAUSES = Plan(
    kills=0,
    seed=3,
    minutes=0.5,
    pictures=6,
    workers=2,
    service_s=0.3,
    settle_s=240,
    fault_s=5,
    control="sound",
)
"""Each time another worker goes on from where a paused one is about to."""

CONTROL = replace(PAUSES, settle_s=5, control="naive")
"""Naive landings, which have to fail."""


@dataclass
class Report:
    """What a soak did and what did not hold."""

    plan: Plan
    kills: Counter[str] = field(default_factory=Counter)
    stops: Counter[str] = field(default_factory=Counter)
    drains: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    jobs: int = 0
    rows: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    settled_s: float = 0.0
    problems: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, object]:
        return vars(self) | {"plan": asdict(self.plan), "ok": not self.problems}


class Soak:
    """One soak in a folder."""

    def __init__(self, folder: Path, plan: Plan) -> None:
        self._folder, self._plan = folder, plan
        self._chance = random.Random(plan.seed)
        self.report = Report(plan)
        self._ports = Ports()
        self._landed = threading.Event()

    def run(self, say: Callable[[str], None] = lambda _: None) -> Report:
        """Run it; `say` is told what happens."""
        self._say, began = say, time.monotonic()
        media = Media.made(self._folder / "media", self._plan.pictures, self._plan.seed)
        self._servers = Servers(self._folder / "servers")
        try:
            self._start(media)
            self._work(media)
            with ThreadPoolExecutor(1) as pool:
                wanted = pool.submit(expected, media, self._folder)
                self._settle()
            self._finish(wanted.result())
        finally:
            for member in [*self._workers, *self._graphs]:
                member.kill()
            self._network.close()
            self._servers.down(grace_s=0)
        self.report.faults = self._network.fired
        self.report.seconds = round(time.monotonic() - began, 1)
        return self.report

    def _start(self, media: Media) -> None:
        s3, broker = self._servers.up(["lake", "media"])
        for path in sorted(media.remote.iterdir()):
            s3.client().fput_object("media", path.name, str(path))
        ports = self._ports.choose(self._plan.graphs)
        self._ports.close()
        targets = {f"graph-{n}": f"{HOST}:{port}" for n, port in enumerate(ports)}
        targets |= {"s3": s3.endpoint.partition("://")[2], "kafka": broker.bootstrap}
        self._network = Network(targets, self._plan.seed)
        common = {
            "REELPAGE_S3_ACCESS_KEY": s3.access_key,
            "REELPAGE_S3_SECRET_KEY": s3.secret_key,
            "REELPAGE_LAKE": "s3://lake/soak",
            "REELPAGE_ROOTS": str(media.local),
            "REELPAGE_SOURCES": "s3://media",
            "REELPAGE_SECRET": "the-secret-of-the-soak",
        }
        direct = {"REELPAGE_S3_ENDPOINT": s3.endpoint, "REELPAGE_KAFKA": broker.bootstrap}
        faulty = {
            "REELPAGE_S3_ENDPOINT": f"http://{self._network.address('s3')}",
            "REELPAGE_KAFKA": self._network.address("kafka"),
        }
        self._direct = Settings.from_environment(common | direct)
        make_topic(self._direct, PARTITIONS)
        options = ["--service", str(self._plan.service_s)]
        options += ["--control", self._plan.control] if self._plan.control else []
        self._graphs = [
            self._member(
                f"graph-{n}", ["tests.soak.graph", "--port", str(port), *options], common | faulty
            )
            for n, port in enumerate(ports)
        ]
        self._workers = [self._worker(n, common | faulty) for n in range(self._plan.workers)]
        self._jobs = submissions(media, self._direct, self._plan.seed)
        for member in [*self._graphs, *self._workers]:
            member.start()

    def _member(self, name: str, command: list[str], environment: dict[str, str]) -> Member:
        return Member(name, command, environment, self._folder)

    def _worker(self, number: int, environment: dict[str, str]) -> Member:
        graph = self._network.address(f"graph-{number % self._plan.graphs}")
        command = ["tests.soak.worker", "--session", str(self._plan.session_s)]
        reached = environment | {"REELPAGE_GRAPH": f"http://{graph}"}
        return self._member(f"worker-{number}", command, reached)

    # While jobs come in and processes go

    def _work(self, media: Media) -> None:
        submitter = threading.Thread(target=self._submit)
        submitter.start()
        with self._network.faulty(self._plan.fault_s):
            if self._plan.control:
                self._pause_landers()
            else:
                self._kill_all()
            submitter.join()
        self._say(f"{self.report.jobs} jobs sent, {self.report.kills.total()} kills; settling")

    def _submit(self) -> None:
        """Send the jobs some at a time, over the time of the kills; some twice by retries."""
        pieces = max(1, round(self._plan.minutes * 20))
        size = -(-len(self._jobs) // pieces)
        for start in range(0, len(self._jobs), size):
            self._send(self._jobs[start : start + size])
            self._landed.wait(self._plan.minutes * 60 / pieces)

    def _send(self, some: list[tuple[str, Job]]) -> None:
        while True:
            with suppress(TransientError), closing(Sender(self._direct)) as sender:
                sender.send(some)
                self.report.jobs += len(some)
                return
            time.sleep(0.5)

    def _kill_all(self) -> None:
        pause = self._plan.minutes * 60 / max(1, self._plan.kills)
        end = time.monotonic() + self._plan.minutes * 60
        while self.report.kills.total() < self._plan.kills or time.monotonic() < end:
            time.sleep(self._chance.uniform(0.5, 1.5) * pause)
            self._one_event(kill=self.report.kills.total() < self._plan.kills)
            self._revive()
        self._drain(self._workers[0])

    def _pause_landers(self) -> None:
        """Each time another one goes on from where the paused one is about to."""
        end = time.monotonic() + self._plan.minutes * 60
        heard = [0] * len(self._graphs)
        while time.monotonic() < end:
            for number, writes in enumerate(self._writes()):
                if len(writes) > heard[number]:
                    self._pause_lander(number, writes[-1])
                    heard = [len(one) for one in self._writes()]
                    break
            time.sleep(0.05)
            self._revive()

    def _writes(self) -> list[list[set[str]]]:
        """Of each graph: table and application ids of each write that it was about to do."""
        return [[set(line.split()) for line in graph.said(WRITES)] for graph in self._graphs]

    def _pause_lander(self, number: int, write: set[str]) -> None:
        """Stop a graph and its workers until another one has written the same."""
        host = [self._graphs[number], *self._workers[number :: self._plan.graphs]]
        self._say(f"stop {host[0].name} before {' '.join(sorted(write))}")
        before = self._writes()
        for member in host:
            member.send(signal.SIGSTOP)
        self.report.stops["host"] += 1
        end = time.monotonic() + self._plan.session_s + 30
        while time.monotonic() < end and not any(
            write <= other
            for old, new in zip(before, self._writes(), strict=True)
            for other in new[len(old) :]
        ):
            time.sleep(0.1)
        time.sleep(3)  # the other one's own pause before its write, and the write
        for member in host:
            member.send(signal.SIGCONT)

    def _one_event(self, *, kill: bool) -> None:
        draw = self._chance.random()
        worker, graph = self._chance.choice(self._workers), self._chance.choice(self._graphs)
        if draw < 0.04:
            self._stop(worker, self._plan.session_s + 3)
        elif draw < 0.08:
            self._stop_host(self._chance.randrange(self._plan.workers))
        elif draw < 0.11:
            self._stop(graph, 3)
        elif draw < 0.15:
            self._drain(worker)
        elif not kill:
            return
        elif draw < 0.60:
            self._kill(worker)
        elif draw < 0.80:
            self._kill(graph)
        elif draw < 0.93:
            self._kill_server("broker")
        else:
            self._kill_server("s3")

    def _kill(self, member: Member) -> None:
        self._say(f"kill {member.name}")
        member.kill()
        self.report.kills[member.name.partition("-")[0]] += 1
        time.sleep(self._chance.uniform(0, 0.5))
        member.start()

    def _stop(self, member: Member, seconds: float) -> None:
        """SIGSTOP, and SIGCONT later; a kill may come first."""
        self._say(f"stop {member.name} for {seconds:.0f} s")
        member.send(signal.SIGSTOP)
        threading.Timer(seconds, member.send, [signal.SIGCONT]).start()
        self.report.stops[member.name.partition("-")[0]] += 1

    def _stop_host(self, number: int) -> None:
        """A worker and its graph, as the pause of a machine stops both."""
        for member in (self._workers[number], self._graphs[number % self._plan.graphs]):
            self._stop(member, self._plan.session_s + 6)

    def _drain(self, member: Member) -> None:
        self._say(f"drain {member.name}")
        member.send(signal.SIGCONT)
        if wrong := member.drain(_DRAIN_S):
            self.report.problems.append(wrong)
        self.report.drains += 1
        member.start()

    def _kill_server(self, name: str) -> None:
        self._say(f"kill {name}")
        self._servers.kill(name)  # type: ignore[arg-type]
        self.report.kills[name] += 1
        time.sleep(self._chance.uniform(0, 1))
        self._servers.restart(name)  # type: ignore[arg-type]
        if name == "s3":
            self._servers.broker()  # where it has ended without its bucket

    def _revive(self) -> None:
        """Start what has ended by itself, which nothing may."""
        for member in [*self._graphs, *self._workers]:
            if why := member.gone():
                self._say(why)
                self.report.problems.append(why)
                member.start()

    # At the end

    def _settle(self) -> None:
        """Wait until all partitions have landed to their ends."""
        began, left = time.monotonic(), ["not looked yet"]
        place = open_place(self._direct.lake, self._direct)
        with GroupCommitter(place) as tables:
            while left and time.monotonic() < began + self._plan.settle_s:
                time.sleep(1)
                self._revive()
                left = self._left(tables)
        if left:
            for worker in self._workers:
                worker.send(signal.SIGUSR1)
            time.sleep(2)
        self.report.problems += left
        self.report.settled_s = round(time.monotonic() - began, 1)
        for worker in self._workers:
            if wrong := worker.drain(_DRAIN_S):
                self.report.problems.append(wrong)

    def _left(self, tables: GroupCommitter) -> list[str]:
        apps = {f"{self._direct.group}/{self._direct.topic}/{n}": n for n in range(PARTITIONS)}
        try:
            held = tables.look(LEDGER, list(apps), reload=True)
            with open_log(self._direct) as log:
                bounds = log.bounds(
                    {number: next_offset(held[app]) for app, number in apps.items()}
                )
        except TransientError as error:
            return [f"not known how far it is: {error}"]
        landed = {number: next_offset(held[app]) for app, number in apps.items()}
        return [
            f"partition {number}: {landed[number]} of {one.end} records have landed"
            for number, one in bounds.items()
            if landed[number] != one.end
        ]

    def _finish(self, wanted: dict[str, list[dict[str, object]]]) -> None:
        place = open_place(self._direct.lake, self._direct)
        self.report.rows = {table: len(rows) for table, rows in wanted.items()}
        self.report.problems += check(place, wanted)
