"""Sandbox: decode media in a short-lived child that has nothing to lose.

The child is forked from a zygote, confined (see `confine`), and has a descriptor of the medium
instead of its name. Messages come over a pipe, so a slow reader holds the child back and memory
stays bounded by one part.
"""

import os
import stat
import tempfile
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Final

from pipeline.decode.asking import Fill
from pipeline.decode.confine import Confinement
from pipeline.decode.launch import zygote
from pipeline.decode.listen import Child, DiedError, LostError, named
from pipeline.decode.messages import Message
from pipeline.decode.office import as_pdf
from pipeline.decode.plan import DecodePlan, Limits, Sampling
from schemas.errors import InputError
from schemas.shards import Decoded, MediaInfo, MediaWarning, PageFailure, Shard

_PROBE: Final = DecodePlan(Sampling("rate", 1.0), 3136, 12845056)


def probe(path: Path, limits: Limits | None = None) -> MediaInfo:
    """Facts of a medium, without decoding more than its first frame.

    Raises:
        InputError: naming the file and the remedy.
    """
    with closing(_Work(path, _PROBE, limits or Limits(), probe=True).messages()) as messages:
        for message in messages:
            if isinstance(message, MediaInfo):
                return message
    raise named(path, "decoder_crashed", "the decoder said nothing; re-encode the file")


def decode(
    path: Path, plan: DecodePlan, limits: Limits | None = None, fill: Fill | None = None
) -> Generator[Decoded, None, None]:
    """Decode a medium: its facts, then its parts in order, with warnings and failed pages between.

    A page that kills the child becomes a `PageFailure`, and a new child goes on behind it. Closing
    the generator ends the child.

    Args:
        path: of the medium.
        plan: what to do with it.
        limits: of the child.
        fill: has bytes of the file come before they are read; None if all are there.

    Raises:
        InputError: naming the file and the remedy; parts that came before stay valid.
        Exception: what `fill` raises.
    """
    yield from _Work(path, plan, limits or Limits(), fill=fill).messages()


def confinement() -> Confinement:
    """What holds a child on this machine, as a real one finds that tries to get out.

    It tries to read the environment of this process and a file that only its user may read.

    Raises:
        InputError: `decoder_crashed`, no child works here.
    """
    with tempfile.NamedTemporaryFile() as file:
        order = {"trial": [f"/proc/{os.getpid()}/environ", file.name]}
        try:
            with Child(Path(file.name), file.fileno(), order, Limits(), zygote()) as child:
                found = next(child.messages())
        except DiedError as died:
            raise InputError(died.code, died.reason) from died
    assert isinstance(found, Confinement)
    return found


class _Work:
    """One medium, and what has become of it so far, over all the children that it takes."""

    def __init__(
        self,
        path: Path,
        plan: DecodePlan,
        limits: Limits,
        *,
        probe: bool = False,
        fill: Fill | None = None,
    ) -> None:
        self._path, self._plan, self._limits, self._probe = path, plan, limits, probe
        self._fill = fill
        self._skip: set[int] = set()
        self._warned: set[MediaWarning] = set()
        self._deaths, self._losses, self._told = 0, 0, False
        self._office = ""

    def messages(self) -> Generator[Decoded, None, None]:
        """What children say; the next goes on where one has died."""
        with (
            _open(self._path) as file,
            as_pdf(self._path, file, self._limits) as (medium, self._office),
        ):
            while True:
                order = self._order()
                child = Child(self._path, medium, order, self._limits, zygote(), self._fill)
                try:
                    with child:
                        yield from self._follow(child.messages())
                    return
                except LostError as lost:
                    self._try_again(lost)
                except DiedError as died:
                    yield self._excuse(died)

    def _order(self) -> dict[str, Any]:
        plan = asdict(self._plan)
        del plan["budget"]  # which is of no concern to who decodes
        return {"plan": plan, "probe": self._probe, "skip": sorted(self._skip)}

    def _follow(self, messages: Iterator[Message]) -> Iterator[Decoded]:
        """Pass on what is new, and note what the next child need not do again."""
        for message in messages:
            if isinstance(message, PageFailure):
                self._skip.add(message.page_no)
            elif isinstance(message, Shard):
                self._plan = replace(self._plan, first_part=message.part + 1)
                message = replace(message, budget=self._plan.budget)
            elif isinstance(message, MediaWarning):
                if message in self._warned:  # by the child before
                    continue
                self._warned.add(message)
            elif not isinstance(message, MediaInfo) or self._told:
                continue
            self._told = True
            if isinstance(message, MediaInfo) and self._office:
                message = replace(message, container=self._office)
            yield message

    def _try_again(self, lost: LostError) -> None:
        """Once: a medium that ends the zygote twice is taken for the reason.

        Raises:
            InputError: it was not the first time.
        """
        self._losses += 1
        if self._losses > 1:
            raise named(self._path, lost.code, lost.reason) from lost

    def _excuse(self, died: DiedError) -> PageFailure:
        """The page that killed a child, which the next leaves out.

        Raises:
            InputError: it was no page, or there were too many.
        """
        self._deaths += 1
        page = died.page
        if not page or page in self._skip or self._deaths > self._limits.restarts:
            raise named(self._path, died.code, died.reason) from died
        self._skip.add(page)
        part = (page - 1) // self._plan.pages_per_part
        reason = f"page {page} cannot be rendered: {died.reason}"
        return PageFailure(part, page, died.code, reason)


@contextmanager
def _open(path: Path) -> Iterator[int]:
    """A descriptor of a plain file with content.

    Raises:
        InputError: `not_found`, `not_readable`, `unsupported_format` or `empty_input`.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (FileNotFoundError, NotADirectoryError, ValueError) as error:
        raise named(path, "not_found", "there is no such file; check the name") from error
    except OSError as error:
        reason = f"it cannot be opened ({error.strerror}); check its permissions"
        raise named(path, "not_readable", reason) from error
    try:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode):
            raise named(path, "unsupported_format", "it is no plain file; give a file")
        if facts.st_size == 0:
            raise named(path, "empty_input", "it has zero bytes; fetch or record it again")
        yield descriptor
    finally:
        os.close(descriptor)
