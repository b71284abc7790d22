"""Listen: one child as its parent hears it: its messages, its silence and its end."""

import os
import select
import signal
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, NoReturn

from pipeline.decode.asking import ANSWER, Fill
from pipeline.decode.launch import Zygote
from pipeline.decode.messages import HEADER, Message, Wanted, unpack
from pipeline.decode.plan import Limits
from pipeline.decode.zygote import STATUS
from schemas.errors import InputError

_DEATHS: Final = {signal.SIGXCPU: "decoder_timeout", signal.SIGKILL: "decoder_memory"}
_BLOCK: Final = 1 << 20


class DiedError(Exception):
    """The child ended without its last message.

    Attributes:
        code: of the failure.
        reason: in words, without the name of the file.
        page: number of the page that it was at, or 0.
    """

    def __init__(self, code: str, reason: str, page: int = 0) -> None:
        super().__init__(reason)
        self.code, self.reason, self.page = code, reason, page


class LostError(DiedError):
    """The child ended with its zygote, through no fault of the medium."""


def named(path: Path, code: str, reason: str) -> InputError:
    """An error that names its file."""
    return InputError(code, f"{str(path)!r}: {reason}")


class Child:
    """One child process; leaving the context ends it."""

    def __init__(
        self,
        path: Path,
        medium: int,
        order: Mapping[str, Any],
        limits: Limits,
        zygote: Zygote,
        fill: Fill | None = None,
    ) -> None:
        """Have it forked.

        Args:
            path: of the medium, for messages.
            medium: its descriptor.
            order: what to do with it.
            limits: how much of what it may use.
            zygote: forks it.
            fill: has bytes of the medium come; None if all are there.
        """
        self._path, self._limits, self._fill = path, limits, fill
        self._page = 0
        os.lseek(medium, 0, os.SEEK_SET)  # shared with children that were there before
        order = {**order, "limits": asdict(limits)}
        theirs: int | None = None
        self._answers: int | None = None
        if fill is not None:
            theirs, self._answers = os.pipe()
            os.set_blocking(self._answers, False)  # it may ask and not listen
        self._pipe, self._control = zygote.fork(medium, order, theirs)
        if theirs is not None:
            os.close(theirs)

    def __enter__(self) -> "Child":
        return self

    def __exit__(self, *_: object) -> None:
        self._control.close()  # kills it
        while os.read(self._pipe, _BLOCK):  # its end: it no longer moves the descriptor's place
            pass
        os.close(self._pipe)
        if self._answers is not None:
            os.close(self._answers)

    def messages(self) -> Iterator[Message]:
        """Messages up to the last.

        Raises:
            InputError: the child refused the medium.
            DiedError: it ended, or was ended, before its last message.
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
                raise named(self._path, message.code, message.message)
            if isinstance(message, Wanted):
                self._bring(message)
                continue
            self._page = message if isinstance(message, int) else 0
            yield message

    def _bring(self, wanted: Wanted) -> None:
        """Have bytes of the medium come, and tell the child."""
        try:
            if self._fill is None or self._answers is None:
                self._fail("decoder_crashed", "the decoder asked for what it has")
            there = self._fill(wanted.start, wanted.stop)
            os.write(self._answers, ANSWER.pack(*there))
        except (ValueError, BlockingIOError) as error:
            self._fail("decoder_crashed", f"the decoder asked for nonsense ({error})")
        except BrokenPipeError:
            pass  # it has ended, which its pipe says too

    def _read(self, size: int) -> bytes:
        """Exactly `size` bytes; only time spent waiting here counts as the child's silence."""
        parts: list[bytes] = []
        give_up = time.monotonic() + self._limits.silence_s
        poll = select.poll()
        poll.register(self._pipe, select.POLLIN)
        while size > 0:
            if not poll.poll(max(0.0, give_up - time.monotonic()) * 1000):
                self._fail_of_silence()
            block = os.read(self._pipe, min(size, _BLOCK))
            if not block:
                self._explain_death()
            parts.append(block)
            size -= len(block)
        return b"".join(parts)

    def _explain_death(self) -> NoReturn:
        status = self._status()
        if status >= 0:
            self._fail("decoder_crashed", f"the decoder ended with status {status}; re-encode it")
        name = signal.Signals(-status).name
        code = _DEATHS.get(signal.Signals(-status), "decoder_crashed")
        reason = f"the decoder was ended by {name} (signal {-status}); re-encode or remove the file"
        self._fail(code, reason)

    def _status(self) -> int:
        """Exit code of the child, which has closed its pipe, or its signal below 0."""
        self._control.settimeout(self._limits.silence_s)
        try:
            answer = self._control.recv(STATUS.size)
        except TimeoutError:
            self._fail_of_silence()
        except OSError:
            answer = b""
        if not answer:
            reason = "the decoder was ended with the process that started it; try again"
            raise LostError("decoder_crashed", reason)
        return int(STATUS.unpack(answer)[0])

    def _fail_of_silence(self) -> NoReturn:
        silence = f"the decoder was silent for {self._limits.silence_s:g} s"
        self._fail("decoder_timeout", silence + "; re-encode or remove the file")

    def _fail(self, code: str, reason: str) -> NoReturn:
        raise DiedError(code, reason, self._page)
