"""Servers for development and tests on 127.0.0.1: SeaweedFS for S3, Tansu as the Kafka broker.

    servers = Servers(folder)
    s3, broker = servers.up(buckets=["lake"])
    ...
    servers.down()

The folder keeps data, logs and `servers.json`, by which another process finds the same servers.
"""

import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal

from schemas.errors import SetupError
from services.machine import HOST
from services.stack.known import Server, known_servers
from services.stack.ports import Ports
from services.stack.processes import Process, last_lines, spawn
from services.stack.program import Program
from services.stack.seaweedfs import S3Server, new_s3, remove_sockets, s3_server, seaweedfs
from services.stack.tansu import BUCKET, Broker, Storage, broker_of, new_broker, tansu

__all__ = ["Broker", "S3Server", "Servers"]

Name = Literal["s3", "broker"]

_POLL_S: Final = 0.1
_LOG_LINES: Final = 12


class Servers:
    """The servers of one folder. Ports are chosen once and kept over restarts.

    Every method that starts a server raises SetupError, with the remedy or the end of the
    server's log, when its package is missing or it does not answer within a minute.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()
        self._ports = Ports()
        self._children: dict[int, subprocess.Popen[bytes]] = {}

    def up(self, buckets: Sequence[str] = (), storage: Storage = "s3") -> tuple[S3Server, Broker]:
        """Start what does not run yet, wait until it answers, and make the buckets."""
        return self.s3(buckets), self.broker(storage)

    def s3(self, buckets: Sequence[str] = ()) -> S3Server:
        """The S3 server, started where it does not run, with these buckets."""
        with known_servers(self._folder) as servers:
            known = servers.get("s3") or new_s3(self._ports)
            servers["s3"] = known
            self._start(known, seaweedfs(self._folder, known, buckets))
        return s3_server(known)

    def broker(self, storage: Storage = "s3") -> Broker:
        """The broker, started where it does not run, with its records in a bucket or in memory.

        A broker keeps the storage of its first start; in memory it forgets all when it ends.
        Tansu 0.6.0 in a bucket has two faults, measured. `end_offsets` stays behind for good; the
        high watermark of a fetch is right. And after a kill it may answer an idempotent producer
        "duplicate" for records that it lost: produce with `enable_idempotence=False`.
        """
        with known_servers(self._folder) as servers:
            known = servers.get("broker") or new_broker(self._ports, storage)
            servers["broker"] = known
        s3 = self.s3([BUCKET]) if known.storage == "s3" else None
        with known_servers(self._folder) as servers:
            known = servers["broker"]
            self._start(known, tansu(known, s3))
        return broker_of(known)

    def kill(self, name: Name) -> None:
        """End one server with SIGKILL and wait until it is gone."""
        with known_servers(self._folder) as servers:
            if name in servers:
                self._end(servers[name], grace_s=0)

    def restart(self, name: Name) -> None:
        """Start one server again on the same port and data, after ending it where it runs."""
        self.kill(name)
        if name == "s3":
            self.s3()
        else:
            self.broker()

    def down(self, grace_s: float = 2.0) -> None:
        """End all servers, SIGTERM first and SIGKILL after `grace_s` seconds; the data stay.

        SeaweedFS takes 15 s over SIGTERM; what it acknowledged outlives SIGKILL too.
        """
        if self._folder.is_dir():
            with known_servers(self._folder) as servers:
                for known in reversed(servers.values()):
                    self._end(known, grace_s)
        for child in self._children.values():  # ended by another object of this folder
            child.poll()
        self._ports.close()

    def _start(self, known: Server, program: Program) -> None:
        """Start a server where it does not run, and wait until it answers.

        Raises:
            SetupError: `server_failed`, with the end of its log; it is ended then.
        """
        log = self._folder / f"{program.name}.log"
        if not known.alive:
            self._check_ports(program)
            child = spawn(program.command, log, program.environment)
            self._children[child.pid] = child
            found = Process.of(child.pid)
            known.pid, known.started = found.pid, found.started
        deadline = time.monotonic() + program.within_s
        while not program.answers():
            if not known.alive or time.monotonic() > deadline:
                state = "does not answer" if known.alive else "ended at its start"
                self._end(known, grace_s=0)
                message = f"{program.name} on {HOST}:{known.ports[0]} {state}; see {log}:\n"
                raise SetupError("server_failed", message + last_lines(log, _LOG_LINES))
            time.sleep(_POLL_S)

    def _check_ports(self, program: Program) -> None:
        if taken := self._ports.taken(program.ports):
            file = self._folder / "servers.json"
            message = (
                f"{program.name}: port {taken[0]} of {HOST} is in use; free it, or remove {file}"
            )
            raise SetupError("server_failed", message)

    def _end(self, known: Server, grace_s: float) -> None:
        known.end(grace_s)
        if child := self._children.pop(known.pid, None):
            child.wait()
        known.pid = known.started = 0
        remove_sockets(known.ports)
