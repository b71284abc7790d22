"""Thief: what a decoder would try that hostile bytes have taken over, run inside a real child.

`main` is the entry of a zygote, like that of `pipeline.decode.zygote`; it ships nowhere.
"""

import ctypes
import json
import os
import socket
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from pipeline.decode.confine.kernel import call
from pipeline.decode.confine.landlock import refuse_files
from pipeline.decode.confine.seccomp import refuse_calls
from pipeline.decode.confine.user import become_own_user
from pipeline.decode.messages import Wanted, write_message
from pipeline.decode.zygote import Task, serve

PTRACE_SEIZE = 0x4206
NO_NEW_PRIVS = 38
MARKS: list[str] = []


def main() -> None:
    serve(lambda task: ACTS[task.order["act"]](task))


def _steal(task: Task) -> None:
    _answer(task, reached(task.order["booty"]))


def _leave_mark(task: Task) -> None:
    MARKS.append(task.order["mark"])
    os.environ["MARK"] = task.order["mark"]
    _answer(task, {"marks": MARKS, "descriptors": [n for n in range(64) if _is_open(n)]})


def _hide(task: Task) -> None:
    task.output.close()
    time.sleep(600)


def _abort(task: Task) -> None:
    os.abort()


def _burn(task: Task) -> None:
    while True:
        pass


def _ask(task: Task) -> None:
    """Want bytes of the medium, and perhaps not listen to the answers."""
    for start, stop in task.order["wanted"] * task.order["times"]:
        write_message(task.output, Wanted(start, stop))
    time.sleep(600)


ACTS: dict[str, Callable[[Task], None]] = {
    "steal": _steal,
    "mark": _leave_mark,
    "hide": _hide,
    "abort": _abort,
    "burn": _burn,
    "ask": _ask,
}


def _answer(task: Task, found: object) -> None:
    task.output.write(json.dumps(found).encode())


def _is_open(descriptor: int) -> bool:
    try:
        os.lseek(descriptor, 0, os.SEEK_CUR)
    except OSError as error:
        return error.strerror == "Illegal seek"
    return True


def reached(booty: dict[str, Any]) -> list[str]:
    """Names of what could be had."""
    acts: dict[str, Callable[[], object]] = {
        **{path: Path(path).read_bytes for path in booty["files"]},
        "list": lambda: list(Path(booty["folder"]).iterdir()),
        "write": lambda: Path(booty["folder"], "left").write_bytes(b"x"),
        "remove": lambda: Path(booty["spare"]).unlink(),
        "connect": lambda: socket.socket().connect(("127.0.0.1", booty["port"])),
        "listen": lambda: socket.socket().bind(("127.0.0.1", 0)),
        "signal": lambda: os.kill(booty["parent"], 0),
        "signal all": lambda: os.killpg(booty["group"], 0),
        "trace": lambda: call("ptrace", PTRACE_SEIZE, booty["parent"], 0, 0),
        "memory": lambda: _read_memory(booty["parent"], booty["address"]),
        "fork": _fork,
        "program": lambda: os.waitpid(os.posix_spawn("/bin/true", ["true"], {}), 0),
    }
    return [name for name, act in acts.items() if _works(act)]


def _works(act: Callable[[], object]) -> bool:
    try:
        act()
    except OSError:
        return False
    return True


def _fork() -> None:
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)


class _Range(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


def _read_memory(process: int, address: int) -> None:
    buffer = ctypes.create_string_buffer(16)
    here = _Range(ctypes.addressof(buffer), 16)
    there = _Range(address, 16)
    where = (ctypes.addressof(here), 1, ctypes.addressof(there), 1)
    call("process_vm_readv", process, *where, 0)


def alone(walls: Iterable[str], booty: dict[str, Any]) -> None:
    """Write what can be reached behind these walls only."""
    call("prctl", NO_NEW_PRIVS, 1, 0, 0, 0)
    for wall in walls:
        assert {
            "landlock": lambda: refuse_files(but=[booty["fonts"]]),
            "seccomp": lambda: refuse_calls(opening=False),
            "seccomp, opening": lambda: refuse_calls(opening=True),
            "user": become_own_user,
        }[wall](), f"no {wall} on this machine"
    sys.stdout.write(json.dumps(reached(booty)))


if __name__ == "__main__":
    alone(json.loads(sys.argv[1]), json.loads(sys.argv[2]))
