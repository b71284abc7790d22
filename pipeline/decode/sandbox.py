"""Sandbox: decode media in a short-lived child that has nothing to lose.

The child has a cleared environment, no network where the kernel allows it, limits on memory, CPU
and files, and a descriptor of the medium instead of its name. Messages come over a pipe, so a
slow reader holds the child back and memory stays bounded by one part.
"""

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Final

from pipeline.decode.messages import HEADER, Message, unpack
from pipeline.decode.plan import DecodePlan, Limits, Sampling
from schemas.errors import InputError
from schemas.shards import MediaInfo, Shard, UnitFailure

_ROOT: Final = Path(__file__).resolve().parents[2]
_PROBE: Final = DecodePlan(Sampling("rate", 1.0), 3136, 12845056)
_SIGNALS: Final = {signal.SIGXCPU: "decoder_timeout"}


class _Died(Exception):
    """The child ended without its last message."""

    def __init__(self, code: str, reason: str, page: int | None) -> None:
        super().__init__(reason)
        self.code, self.reason, self.page = code, reason, page


def probe(path: Path, limits: Limits | None = None) -> MediaInfo:
    """Facts of a medium, without decoding more than its first frame.

    Raises:
        InputError: naming the file and the remedy.
    """
    try:
        with _Child(path, _PROBE, limits or Limits(), probe=True) as child:
            for message in child.messages():
                if isinstance(message, MediaInfo):
                    return message
    except _Died as died:
        raise InputError(died.code, f"{path.name!r}: {died.reason}") from died
    raise InputError("decoder_crashed", f"{path.name!r}: the decoder said nothing")


def decode(
    path: Path, plan: DecodePlan, limits: Limits | None = None
) -> Iterator[MediaInfo | Shard | UnitFailure]:
    """Decode a medium: first its facts, then its parts in order, with failed pages between.

    A page that kills the child becomes a `UnitFailure`, and a new child goes on behind it.

    Raises:
        InputError: naming the file and the remedy; parts that came before stay valid.
    """
    limits = limits or Limits()
    skip: list[int] = []
    told = False
    while True:
        part = plan.first_part
        try:
            with _Child(path, plan, limits, skip=skip) as child:
                for message in child.messages():
                    if isinstance(message, MediaInfo) and told:
                        continue
                    told = told or isinstance(message, MediaInfo)
                    if isinstance(message, Shard):
                        part = message.part + 1
                    if isinstance(message, MediaInfo | Shard | UnitFailure):
                        yield message
            return
        except _Died as died:
            page = died.page
            if page is None or page in skip or len(skip) >= limits.restarts:
                raise InputError(died.code, f"{path.name!r}: {died.reason}") from died
            skip.append(page)
            failed_part = (page - 1) // plan.pages_per_part
            reason = f"page {page} cannot be rendered: {died.reason}"
            yield UnitFailure(failed_part, page, died.code, reason)
            plan = replace(plan, first_part=part)


class _Child:
    """One child process and the pipe from it."""

    def __init__(
        self,
        path: Path,
        plan: DecodePlan,
        limits: Limits,
        *,
        probe: bool = False,
        skip: list[int] | None = None,
    ) -> None:
        self._path, self._limits = path, limits
        self._page: int | None = None
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            job = {
                "descriptor": descriptor,
                "plan": asdict(plan),
                "limits": asdict(limits),
                "probe": probe,
                "skip": skip or [],
            }
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "pipeline.decode.child", json.dumps(job)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                pass_fds=(descriptor,),
                env={"PYTHONPATH": str(_ROOT), "OPENBLAS_NUM_THREADS": "1", "PATH": "/usr/bin"},
                cwd="/",
                start_new_session=True,
            )
        finally:
            os.close(descriptor)

    def __enter__(self) -> "_Child":
        return self

    def __exit__(self, *_: object) -> None:
        self._kill()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._process.wait()

    def messages(self) -> Iterator[Message]:
        """Messages up to the last.

        Raises:
            InputError: the child refused the medium.
            _Died: it ended, or was ended, before its last message.
        """
        while True:
            kind, size = HEADER.unpack(self._read(HEADER.size))
            if size > self._limits.message_bytes:
                self._fail("too_large", f"one part is larger than {self._limits.message_bytes}")
            try:
                message = unpack(kind, self._read(size))
            except ValueError as error:
                self._fail("decoder_crashed", f"the decoder sent nonsense ({error})")
            if message is None:
                return
            if isinstance(message, InputError):
                raise InputError(message.code, f"{self._path.name!r}: {message.message}")
            if isinstance(message, int):
                self._page = message
            yield message

    def _read(self, size: int) -> bytes:
        assert self._process.stdout is not None
        descriptor = self._process.stdout.fileno()
        parts: list[bytes] = []
        give_up = time.monotonic() + self._limits.silence_s
        while size > 0:
            ready, _, _ = select.select([descriptor], [], [], max(0, give_up - time.monotonic()))
            if not ready:
                text = (
                    f"the decoder was silent for {self._limits.silence_s:g} s; re-encode the file"
                )
                self._fail("decoder_timeout", text)
            block = os.read(descriptor, min(size, 1 << 20))
            if not block:
                self._explain_death()
            parts.append(block)
            size -= len(block)
        return b"".join(parts)

    def _explain_death(self) -> None:
        status = self._process.wait()
        if status >= 0:
            self._fail("decoder_crashed", f"the decoder ended with status {status}; re-encode it")
        number = signal.Signals(-status)
        code = _SIGNALS.get(number, "decoder_crashed")
        self._fail(code, f"the decoder was ended by {number.name}; re-encode or remove the file")

    def _fail(self, code: str, reason: str) -> None:
        self._kill()
        raise _Died(code, reason, self._page)

    def _kill(self) -> None:
        if self._process.poll() is None:
            with _gone_is_fine():
                os.killpg(self._process.pid, signal.SIGKILL)


@contextmanager
def _gone_is_fine() -> Iterator[None]:
    try:
        yield
    except ProcessLookupError:
        return
