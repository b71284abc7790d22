"""A child of the supervisor: its pauses and its limit, with real processes and a clock in hand."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from services.stack.child import RESTARTS, WITHIN_S, Child
from services.stack.processes import Process
from services.stack.program import Program
from tests.stack.conftest import wait_until


def program(code: str, *, answers: bool = True, within_s: float = 60.0) -> Program:
    command = (sys.executable, "-c", code)
    return Program("one", "one", command, answers=lambda: answers, within_s=within_s)


class Clock:
    """Ticks a child; time passes when it is told to."""

    def __init__(self, child: Child) -> None:
        self.now, self.child = 0.0, child

    def tick(self, seconds: float = 0.0) -> str:
        self.now += seconds
        self.child.tick(self.now, ready=True)
        return self.child.member.state

    def until_ended(self) -> str:
        """Tick it until the end of its process was seen."""
        wait_until(lambda: self.tick() not in ("starting", "running"), "the process has ended")
        return self.child.member.state


def test_what_has_ended_is_not_alive() -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    assert not Process.of(ended.pid).alive
    assert Process.of(os.getpid()).alive


def test_what_ends_is_started_again_with_growing_pauses(tmp_path: Path) -> None:
    clock = Clock(Child(program("print('so it ends')"), tmp_path))
    for number in range(RESTARTS):
        clock.tick()
        assert clock.until_ended() == "restarting"
        assert clock.tick(0.5 * 2**number - 0.1) == "restarting"
        clock.tick(0.1)
    assert clock.until_ended() == "failed"
    assert clock.child.member.restarts == RESTARTS
    assert clock.child.member.said == "so it ends"
    assert clock.tick(10 * WITHIN_S) == "failed"


def test_ends_that_are_long_ago_do_not_count(tmp_path: Path) -> None:
    clock = Clock(Child(program(""), tmp_path))
    for _ in range(2 * RESTARTS):
        clock.tick()
        assert clock.until_ended() == "restarting"
        clock.tick(WITHIN_S / 2)
    clock.child.end(10)


def test_it_waits_for_those_that_it_needs(tmp_path: Path) -> None:
    child = Child(program("import time; time.sleep(60)"), tmp_path)
    child.tick(0.0, ready=False)
    assert (child.member.state, child.member.pid) == ("waiting", 0)
    child.tick(0.0, ready=True)
    child.tick(0.0, ready=False)
    assert child.member.state == "running"
    child.end(0)


def test_it_works_when_its_log_says_so(tmp_path: Path) -> None:
    """Not because the log of an earlier process does."""
    (tmp_path / "one.log").write_text("ready\n")
    sleeper = replace(program("import time; time.sleep(60)"), says="ready")
    clock = Clock(Child(sleeper, tmp_path))
    assert [clock.tick(), clock.tick()] == ["starting", "starting"]
    with (tmp_path / "one.log").open("a") as log:
        log.write("ready\n")
    assert clock.tick() == "running"
    clock.child.end(0)


def test_what_does_not_answer_is_ended_and_started_again(tmp_path: Path) -> None:
    sleeper = program("import time; time.sleep(60)", answers=False, within_s=5)
    clock = Clock(Child(sleeper, tmp_path))
    clock.tick()
    first = Process.of(clock.child.member.pid)
    assert clock.tick(4) == "starting"
    assert clock.tick(1) == "restarting"
    assert not first.alive
    assert clock.tick(1) == "starting"
    clock.child.end(0)
