"""Supervisor: the process that owns all others of a stack, apart from any shell.

    python -P -m services.stack.supervisor < PLAN

It starts them again when they end, says in the registry how they are, and ends them when it is told
to, or when the folder of the stack is removed. If it is killed itself, the kernel kills them.
"""

import copy
import fcntl
import json
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from schemas.errors import ReelpageError
from services.stack.child import Child
from services.stack.layers import layers
from services.stack.ports import Ports
from services.stack.processes import Process
from services.stack.program import Program
from services.stack.registry import Entry, Plan, entry_path

log = logging.getLogger(__name__)

_TICK_S: Final = 0.2


class Supervisor:
    """Owns the processes of one stack while `run` runs."""

    def __init__(
        self, plan: Plan, programs: Sequence[Sequence[Program]], environment: dict[str, str]
    ) -> None:
        """Nothing is started yet; the stack is in the registry."""
        self._folder = Path(plan.folder)
        # As long as it is open no other folder gets its number.
        self._is_folder = os.fstat(os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY))
        self._layers = [[Child(one, self._folder) for one in layer] for layer in programs]
        members = {
            one.name: child.member
            for layer, children in zip(programs, self._layers, strict=True)
            for one, child in zip(layer, children, strict=True)
        }
        self._entry = Entry(plan, Process.of(os.getpid()), environment, members)
        self._saved: Entry | None = None
        self._told = threading.Event()

    def stop(self) -> None:
        """Make `run` end."""
        self._told.set()

    def run(self) -> None:
        """Look after the processes until `stop` is called or the folder is gone."""
        try:
            while not self._told.is_set() and self._has_folder():
                self._tick()
                self._save()
                self._told.wait(_TICK_S)
        finally:
            self._end()
            self._entry.remove()

    def _tick(self) -> None:
        ready = True
        for layer in self._layers:
            for child in layer:
                child.tick(time.monotonic(), ready=ready)
            ready = ready and all(child.member.state == "running" for child in layer)

    def _save(self) -> None:
        """Write what has changed; a full disk ends no stack."""
        if self._entry != self._saved:
            try:
                self._entry.save()
                self._saved = copy.deepcopy(self._entry)
            except OSError as error:
                log.warning("the registry cannot be written: %s", error)

    def _end(self) -> None:
        """End the layers, what needs others first; those of one layer together.

        Without the folder there is nothing to drain into.
        """
        has_folder = self._has_folder()
        for layer in reversed(self._layers):
            for child in layer:
                child.terminate()
            grace_s = max((one.grace_s for one in layer), default=0.0) if has_folder else 0.0
            give_up = time.monotonic() + grace_s
            for child in layer:
                child.end(max(0.0, give_up - time.monotonic()))

    def _has_folder(self) -> bool:
        """Whether the folder is where it was; one that was made anew is another."""
        try:
            return os.path.samestat(self._folder.stat(), self._is_folder)
        except OSError:
            return False


def main() -> None:
    """Look after the stack whose plan is on standard input; only one process does so a name."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    logging.getLogger("kafka").setLevel(logging.CRITICAL)  # it repeats what is known of a broker
    plan, ports = Plan(**json.load(sys.stdin)), Ports()
    lock = entry_path(plan.name).with_suffix(".lock")
    lock.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with lock.open("w") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            supervisor = Supervisor(plan, *layers(plan, ports))
        except BlockingIOError:
            sys.exit(0)  # another is at it
        except ReelpageError as error:
            sys.exit(error.message)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: supervisor.stop())
        supervisor.run()


if __name__ == "__main__":
    main()
