"""A warm process from which commands are forked, so that hundreds do not import torch anew.

    warm = Warm(environment)
    process = warm.start(["index", ...], environment, folder, (stdin, stdout, stderr))

Each command is a process of its own with its own arguments, environment, folder, session and
standard files, and ends as one does that was started by name. It differs in what is imported
already, libraries and what of ours reads no setting when it is imported, and in that the
interpreter is not taken apart at its end, which would touch all that it shares with its parent.
"""

import atexit
import gc
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import IO, Any

MODULES = (
    *("duckdb", "kafka", "minio", "pyarrow.compute", "pydantic", "typer"),
    *("pipeline.query.sql", "services.model.reader"),
)
"""Without onnxruntime and polars, which start threads when they are imported."""
ONE_THREAD = {
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "JE_ARROW_MALLOC_CONF": "background_thread:false",
    "_RJEM_MALLOC_CONF": "background_thread:false",  # of deltalake
}
"""A fork loses all threads but its own."""
ROOT = Path(__file__).parents[1]
ORDERS = 0
FILES = 3


class Process:
    """A command that runs; what `subprocess.Popen` calls the same does the same."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self.pid = int(_line(control))
        self.returncode: int | None = None

    def __del__(self) -> None:
        self._control.close()

    def poll(self) -> int | None:
        with suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            if not select.select([self._control], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired("reelpage", timeout or 0)
            self.returncode = int(_line(self._control))
            self._control.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)


class Warm:
    """The process, from the first command on; any thread may use it."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = {**environment, **ONE_THREAD}
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._orders, self._theirs = socket.socketpair()

    def start(
        self,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        folder: Path,
        files: Sequence[IO[bytes]],
    ) -> Process:
        """Start `reelpage` with arguments; files are its standard ones."""
        ours, control = socket.socketpair()
        with control, self._lock:
            self._begin()
            descriptors = [*(file.fileno() for file in files), control.fileno()]
            socket.send_fds(self._orders, [b"\0"], descriptors)
        order = {"arguments": arguments, "environment": environment, "folder": str(folder)}
        ours.sendall(json.dumps(order).encode() + b"\n")
        return Process(ours)

    def close(self) -> None:
        """End it; commands go on."""
        self._orders.close()
        self._theirs.close()
        if self._process is not None:
            self._process.wait()

    def _begin(self) -> None:
        if self._process is None:
            command = [sys.executable, "-m", "tests.warm"]
            self._process = subprocess.Popen(
                command, cwd=ROOT, env=self._environment, stdin=self._theirs.fileno()
            )
            self._theirs.close()


def _line(connection: socket.socket) -> str:
    """The next line, byte by byte, since another one may follow."""
    line = b""
    while not line.endswith(b"\n"):
        more = connection.recv(1)
        if not more:
            message = "the warm process has ended"
            raise ConnectionError(message)
        line += more
    return line.decode()


def _serve() -> dict[str, Any]:
    """Fork for each order until nobody can give any; returns in each command's own process."""
    orders = socket.socket(fileno=os.dup(ORDERS))
    while True:
        byte, descriptors, *_ = socket.recv_fds(orders, 1, FILES + 1)
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        if not byte:
            os._exit(0)
        if os.fork() == 0:
            orders.close()
            return _attend(socket.socket(fileno=descriptors.pop()), descriptors)
        for descriptor in descriptors:
            os.close(descriptor)


def _attend(control: socket.socket, files: Sequence[int]) -> dict[str, Any]:
    """Fork once more: this process tells how that one ends."""
    order: dict[str, Any] = json.loads(_line(control))
    pid = os.fork()
    if pid == 0:
        control.close()
        os.setsid()
        for number, file in enumerate(files):
            os.dup2(file, number)
            os.close(file)
        return order
    for file in (ORDERS, *files):
        os.close(file)
    control.sendall(b"%d\n" % pid)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    with suppress(BrokenPipeError):
        control.sendall(b"%d\n" % code)
    os._exit(0)


class _End:
    """What happens last, behind all that libraries do at the end of a process."""

    status: int | None = None

    def __call__(self) -> None:
        if self.status is not None:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(self.status)


def _main() -> None:
    end = _End()
    atexit.register(end)
    for name in MODULES:
        import_module(name)
    assert len(list(Path("/proc/self/task").iterdir())) == 1
    gc.freeze()  # commands need not look at what was there before them
    order = _serve()
    os.chdir(order["folder"])
    os.environ.clear()
    os.environ.update(order["environment"])
    sys.argv = ["reelpage", *order["arguments"]]
    sys.path[0] = str(Path(sys.executable).parent)
    from reelpage import main

    try:
        main()
    except SystemExit as left:
        end.status = left.code if isinstance(left.code, int) else int(left.code is not None)
        raise
    end.status = 0


if __name__ == "__main__":
    _main()
