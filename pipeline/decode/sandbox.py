"""Sandbox: decode media in a short-lived child that has nothing to lose.

The child has a cleared environment, no network where the kernel allows it, limits on memory, CPU
and files, and a descriptor of the medium instead of its name. Messages come over a pipe, so a
slow reader holds the child back and memory stays bounded by one part.
"""

import json
import os
import select
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Final, NoReturn

from pipeline.decode.messages import HEADER, Message, unpack
from pipeline.decode.plan import DecodePlan, Limits, Sampling
from schemas.errors import InputError
from schemas.shards import MediaInfo, PageFailure, Shard

_PROBE: Final = DecodePlan(Sampling("rate", 1.0), 3136, 12845056)
_DEATHS: Final = {signal.SIGXCPU: "decoder_timeout", signal.SIGKILL: "decoder_memory"}
_BLOCK: Final = 1 << 20
# The child finds packages where the parent does, whatever its own environment would say.
_START: Final = (
    "import sys; sys.path[:] = sys.argv.pop().split(chr(10)); "
    "from pipeline.decode.child import main; main()"
)
_ENVIRONMENT: Final = {
    "LC_ALL": "C.UTF-8",
    "PATH": "/usr/bin:/bin",
    "OPENBLAS_NUM_THREADS": "1",  # each thread of a pool reserves address space
    "OMP_NUM_THREADS": "1",
    "ARROW_DEFAULT_MEMORY_POOL": "system",
    "MALLOC_ARENA_MAX": "2",
    # Fixed, or glibc raises it and keeps what a large index took while it was built.
    "MALLOC_MMAP_THRESHOLD_": str(1 << 20),
}


class _DiedError(Exception):
    """The child ended without its last message."""

    def __init__(self, code: str, reason: str, page: int) -> None:
        super().__init__(reason)
        self.code, self.reason, self.page = code, reason, page


def probe(path: Path, limits: Limits | None = None) -> MediaInfo:
    """Facts of a medium, without decoding more than its first frame.

    Raises:
        InputError: naming the file and the remedy.
    """
    with _open(path) as descriptor:
        try:
            with _Child(path, descriptor, _PROBE, limits or Limits(), probe=True) as child:
                for message in child.messages():
                    if isinstance(message, MediaInfo):
                        return message
        except _DiedError as died:
            raise _named(path, died.code, died.reason) from died
    raise _named(path, "decoder_crashed", "the decoder said nothing; re-encode the file")


def decode(
    path: Path, plan: DecodePlan, limits: Limits | None = None
) -> Generator[MediaInfo | Shard | PageFailure, None, None]:
    """Decode a medium: first its facts, then its parts in order, with failed pages between.

    A page that kills the child becomes a `PageFailure`, and a new child goes on behind it. Closing
    the generator ends the child.

    Raises:
        InputError: naming the file and the remedy; parts that came before stay valid.
    """
    limits = limits or Limits()
    skip: set[int] = set()
    deaths, told = 0, False
    with _open(path) as descriptor:
        while True:
            try:
                with _Child(path, descriptor, plan, limits, skip=skip) as child:
                    for message in child.messages():
                        if isinstance(message, PageFailure):
                            skip.add(message.page_no)
                        elif isinstance(message, Shard):
                            plan = replace(plan, first_part=message.part + 1)
                        elif not isinstance(message, MediaInfo) or told:
                            continue
                        told = True
                        yield message
                return
            except _DiedError as died:
                deaths += 1
                if not died.page or died.page in skip or deaths > limits.restarts:
                    raise _named(path, died.code, died.reason) from died
                skip.add(died.page)
                yield _lost_page(plan, died)


def _lost_page(plan: DecodePlan, died: _DiedError) -> PageFailure:
    part = (died.page - 1) // plan.pages_per_part
    reason = f"page {died.page} cannot be rendered: {died.reason}"
    return PageFailure(part, died.page, died.code, reason)


def _named(path: Path, code: str, reason: str) -> InputError:
    return InputError(code, f"{str(path)!r}: {reason}")


@contextmanager
def _open(path: Path) -> Iterator[int]:
    """A descriptor of a plain file with content.

    Raises:
        InputError: `not_found`, `not_readable`, `unsupported_format` or `empty_input`.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (FileNotFoundError, NotADirectoryError, ValueError) as error:
        raise _named(path, "not_found", "there is no such file; check the name") from error
    except OSError as error:
        reason = f"it cannot be opened ({error.strerror}); check its permissions"
        raise _named(path, "not_readable", reason) from error
    try:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode):
            raise _named(path, "unsupported_format", "it is no plain file; give a file")
        if facts.st_size == 0:
            raise _named(path, "empty_input", "it has zero bytes; fetch or record it again")
        yield descriptor
    finally:
        os.close(descriptor)


class _Child:
    """One child process and the pipe from it."""

    def __init__(
        self,
        path: Path,
        descriptor: int,
        plan: DecodePlan,
        limits: Limits,
        *,
        probe: bool = False,
        skip: Iterable[int] = (),
    ) -> None:
        self._path, self._limits = path, limits
        self._page = 0
        job = {
            "plan": asdict(plan),
            "limits": asdict(limits),
            "probe": probe,
            "skip": sorted(skip),
        }
        os.lseek(descriptor, 0, os.SEEK_SET)  # shared with children that were there before
        search = [str(Path(place).absolute()) for place in sys.path]
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-B", "-c", _START, json.dumps(job), "\n".join(search)],
            stdin=descriptor,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=_ENVIRONMENT,
            cwd="/",
            start_new_session=True,
        )

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
            _DiedError: it ended, or was ended, before its last message.
        """
        while True:
            kind, size = HEADER.unpack(self._read(HEADER.size))
            if size > self._limits.message_bytes + _BLOCK:
                self._fail("too_large", f"one part is larger than {self._limits.message_bytes} B")
            try:
                message = unpack(kind, self._read(size))
            except ValueError as error:
                self._fail("decoder_crashed", f"the decoder sent nonsense ({error})")
            if message is None:
                return
            if isinstance(message, InputError):
                if message.code in ("decoder_crashed", "decoder_memory"):
                    self._fail(message.code, message.message)
                raise _named(self._path, message.code, message.message)
            self._page = message if isinstance(message, int) else 0
            yield message

    def _read(self, size: int) -> bytes:
        """Exactly `size` bytes; only time spent waiting here counts as the child's silence."""
        assert self._process.stdout is not None
        descriptor = self._process.stdout.fileno()
        parts: list[bytes] = []
        give_up = time.monotonic() + self._limits.silence_s
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        while size > 0:
            if not poll.poll(max(0.0, give_up - time.monotonic()) * 1000):
                silence = f"the decoder was silent for {self._limits.silence_s:g} s"
                self._fail("decoder_timeout", silence + "; re-encode or remove the file")
            block = os.read(descriptor, min(size, _BLOCK))
            if not block:
                self._explain_death()
            parts.append(block)
            size -= len(block)
        return b"".join(parts)

    def _explain_death(self) -> NoReturn:
        status = self._process.wait()
        if status >= 0:
            self._fail("decoder_crashed", f"the decoder ended with status {status}; re-encode it")
        name = signal.Signals(-status).name
        code = _DEATHS.get(signal.Signals(-status), "decoder_crashed")
        reason = f"the decoder was ended by {name} (signal {-status}); re-encode or remove the file"
        self._fail(code, reason)

    def _fail(self, code: str, reason: str) -> NoReturn:
        self._kill()
        raise _DiedError(code, reason, self._page)

    def _kill(self) -> None:
        if self._process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
