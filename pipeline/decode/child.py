"""Child: what a confined process does with its medium. Forked by `zygote`, never by hand."""

import socket
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

from pipeline.decode.allocation import keep_memory
from pipeline.decode.asking import ANSWER, asking
from pipeline.decode.confine import Confinement
from pipeline.decode.confine.limits import allow_cpu
from pipeline.decode.images import open_picture
from pipeline.decode.messages import Message, Wanted, write_message
from pipeline.decode.pages import Document
from pipeline.decode.plan import DecodePlan, Sampling
from pipeline.decode.sniff import HEAD_BYTES, sniff
from pipeline.decode.video import Video
from pipeline.decode.zygote import Task
from schemas.errors import InputError


def work(task: Task) -> None:
    """Do what is ordered: try the walls, or decode the medium; send what comes of it."""
    if "trial" in task.order:
        write_message(task.output, _try(task.confinement, task.order["trial"]))
    else:
        write_message(task.output, _run(task))


def _run(task: Task) -> InputError | None:
    """Send all messages but the last, and return that."""
    limits = task.limits
    try:
        for message in _messages(task):
            write_message(task.output, message)
            allow_cpu(limits.cpu_s)
    except InputError as error:
        return error
    except MemoryError:
        text = f"it needs more than {limits.memory_bytes >> 20} MiB to decode; make it smaller"
        return InputError("decoder_memory", text)
    except Exception as error:  # noqa: BLE001 - the parent reports it; nobody reads our stderr
        text = f"the decoder failed ({type(error).__name__}: {error}); re-encode the file"
        return InputError("decoder_crashed", text)
    return None


def _messages(task: Task) -> Iterator[Message]:
    file, order, limits = _medium(task), task.order, task.limits
    given = order["plan"]
    plan = DecodePlan(**(given | {"sampling": Sampling(**given["sampling"])}))
    head = file.read(HEAD_BYTES)
    file.seek(0)
    content = sniff(head)
    medium: Any
    if content == "document":
        medium = Document(file, limits, order["skip"])
    elif content == "image":
        medium = open_picture(file, limits, order["skip"])
    else:
        keep_memory()
        medium = Video(file, limits)
        yield from medium.survey()
    yield medium.info()
    if not order["probe"]:
        yield from medium.shards(plan)


def _medium(task: Task) -> BinaryIO:
    """The medium; what is not there of it comes when it is read."""
    answers = task.answers
    if answers is None:
        return task.medium

    def fill(start: int, stop: int) -> tuple[int, int]:
        write_message(task.output, Wanted(start, stop))
        first, last = ANSWER.unpack(answers.read(ANSWER.size))
        return first, last

    return asking(task.medium.fileno(), fill)


def _try(confinement: Confinement, paths: Iterable[str]) -> Confinement:
    """Try to read files and to reach the network."""
    reads = tuple(path for path in paths if _works(Path(path).read_bytes))
    return replace(confinement, reads=reads, network=_works(_connect))


def _works(attempt: Callable[[], object]) -> bool:
    try:
        attempt()
    except OSError:
        return False
    return True


def _connect() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("127.0.0.1", 9))  # sends nothing
