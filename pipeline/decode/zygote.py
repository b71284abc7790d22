"""Zygote: the warm process from which a child is forked for each medium.

It has loaded the parsing libraries, was started with a cleared environment, has one thread and
reads nothing of a medium: every child is forked from the same clean state. An order comes as one
byte with three descriptors: the medium, the pipe for messages, and the control socket; a fourth is
of a pipe of answers, for a medium that is not all there (see `asking`). On the control socket the
parent says what to do, in one line of JSON that only the child reads; the zygote answers with the
child's exit code, and kills the child when the parent hangs up.
"""

import gc
import json
import os
import select
import signal
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, BinaryIO, Final

from pipeline.decode.confine import Confinement, confine, prepare
from pipeline.decode.confine.limits import address_space, limit_resources
from pipeline.decode.plan import Limits

STATUS: Final = struct.Struct("<i")
"""A child's exit code, or its signal as a negative number."""

_ORDERS: Final = 0
_MESSAGES: Final = 3
_ANSWERS: Final = 4
_NO_DESCRIPTOR: Final = 1 << 16  # the zygote has one a child, and two


@dataclass(frozen=True)
class Task:
    """What a confined child has: the medium, the pipe, what to do, its limits and its walls.

    `answers` is None of a medium that is all there; else what is asked for is answered on it.
    """

    medium: BinaryIO
    output: BinaryIO
    order: dict[str, Any]
    limits: Limits
    confinement: Confinement
    answers: BinaryIO | None = None


Work = Callable[[Task], None]


def main() -> None:
    """Fork children that decode."""
    from pipeline.decode.child import work
    from pipeline.decode.warm import warm

    warm()
    serve(work)


def serve(work: Work) -> None:
    """Fork a confined child for each order, until nobody can give any; then end all children."""
    own_network = prepare()
    gc.freeze()  # children need not look at what was there before them
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    _Zygote(work, own_network).serve()


class _Zygote:
    def __init__(self, work: Work, own_network: bool) -> None:
        self._work, self._own_network = work, own_network
        self._inherited = address_space()
        self._orders = socket.socket(fileno=_ORDERS)
        self._controls: dict[int, socket.socket] = {}  # of children by their process numbers
        self._deaths, wake = socket.socketpair()
        wake.setblocking(False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wake.detach(), warn_on_full_buffer=False)

    def serve(self) -> None:
        """Work until the socket of orders is closed."""
        while True:
            ready = self._ready()
            self._end_abandoned(ready)
            if self._deaths.fileno() in ready:
                self._deaths.recv(4096)
                self._report_deaths()
            if _ORDERS in ready and not self._take_order():
                break
        for process in self._controls:
            os.kill(process, signal.SIGKILL)

    def _ready(self) -> set[int]:
        poll = select.poll()
        poll.register(self._orders, select.POLLIN)
        poll.register(self._deaths, select.POLLIN)
        for control in self._controls.values():
            poll.register(control, 0)  # only whether the parent has hung up
        return {descriptor for descriptor, _ in poll.poll()}

    def _end_abandoned(self, ready: set[int]) -> None:
        """Kill whom nobody listens to. Not waited for yet, so no other process has its number."""
        for process, control in list(self._controls.items()):
            if control.fileno() in ready:
                os.kill(process, signal.SIGKILL)
                self._controls.pop(process).close()

    def _report_deaths(self) -> None:
        with suppress(ChildProcessError):
            while (found := os.waitpid(-1, os.WNOHANG))[0]:
                process, status = found
                if control := self._controls.pop(process, None):
                    with control, suppress(OSError):
                        control.send(STATUS.pack(os.waitstatus_to_exitcode(status)))

    def _take_order(self) -> bool:
        message, descriptors, _, _ = socket.recv_fds(self._orders, 1, 4)
        try:
            if len(descriptors) >= 3:
                self._fork(*descriptors)
        except OSError:
            pass  # no process or memory left; the parent sees its descriptors closed
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        return bool(message)

    def _fork(self, medium: int, output: int, control: int, answers: int | None = None) -> None:
        zygote = os.getpid()
        process = os.fork()
        if process == 0:
            try:
                self._be_child(zygote, medium, output, control, answers)
            finally:
                os._exit(1)
        self._controls[process] = socket.socket(fileno=os.dup(control))

    def _be_child(
        self, zygote: int, medium: int, output: int, control: int, answers: int | None
    ) -> None:
        """Never returns. No clean-up code runs of a library that hostile bytes went through."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.dup2(medium, 0)  # 1 and 2 are /dev/null: what a library prints is no message
        with os.fdopen(control, "rb", closefd=False) as line:
            order = json.loads(line.readline())
        os.dup2(output, _MESSAGES)
        if answers is not None:
            os.dup2(answers, _ANSWERS)
        os.closerange(_MESSAGES + 1 if answers is None else _ANSWERS + 1, _NO_DESCRIPTOR)
        file, messages = os.fdopen(0, "rb"), os.fdopen(_MESSAGES, "wb")
        told = None if answers is None else os.fdopen(_ANSWERS, "rb")
        limits = Limits(**order["limits"])
        limit_resources(limits, os.fstat(0).st_size, self._inherited)
        walls = confine(zygote, own_network=self._own_network)
        self._work(Task(file, messages, order, limits, walls, told))
        messages.flush()
        os._exit(0)
