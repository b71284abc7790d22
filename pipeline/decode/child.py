"""Child: the process in which media are parsed. Started by `sandbox`, never by hand.

Reads the medium from an inherited descriptor, writes messages to standard output.
"""

import ctypes
import json
import os
import resource
import signal
import sys
from collections.abc import Iterator
from typing import Any, BinaryIO

from pipeline.decode.messages import Message, write_message
from pipeline.decode.plan import DecodePlan, Limits, Sampling
from pipeline.decode.sniff import HEAD_BYTES, sniff
from schemas.errors import InputError

_CLONE_NEWNET = 0x40000000
_CLONE_NEWUSER = 0x10000000
_FILES = 64


def main() -> None:
    """Decode one medium as the arguments say."""
    job = json.loads(sys.argv[1])
    limits = Limits(**job["limits"])
    _confine(limits)
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not become a message
    with os.fdopen(job["descriptor"], "rb") as file:
        try:
            for message in _messages(file, job, limits):
                write_message(output, message)
                _allow_cpu(limits.cpu_s)
            write_message(output, None)
        except InputError as error:
            write_message(output, error)
        except MemoryError:
            text = f"needs more than {limits.memory_bytes >> 20} MiB to decode; make it smaller"
            write_message(output, InputError("decoder_memory", text))
    output.flush()
    os._exit(0)  # no clean-up code of a library that hostile bytes have passed through


def _messages(file: BinaryIO, job: dict[str, Any], limits: Limits) -> Iterator[Message]:
    plan = DecodePlan(**(job["plan"] | {"sampling": Sampling(**job["plan"]["sampling"])}))
    head = file.read(HEAD_BYTES)
    file.seek(0)
    content = sniff(head)
    # Each library is imported only for its own kind: a child starts in a third of the time.
    medium: Any
    if content == "document":
        from pipeline.decode.pages import Document

        medium = Document(file, limits)
        shards = medium.shards(plan, job["skip"])
    elif content == "image":
        from pipeline.decode.images import Picture

        medium = Picture(file, limits)
        shards = medium.shards(plan)
    else:
        from pipeline.decode.video import Video

        medium = Video(file, limits)
        shards = medium.shards(plan)
    yield medium.info()
    if not job["probe"]:
        yield from shards


def _confine(limits: Limits) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    resource.setrlimit(resource.RLIMIT_AS, (limits.memory_bytes, limits.memory_bytes))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (_FILES, _FILES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _allow_cpu(limits.cpu_s)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNET) != 0:  # where the kernel allows it: no network at all
        libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET)


def _allow_cpu(seconds: int) -> None:
    """Give the child this much more CPU time; beyond it the kernel sends SIGXCPU."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    used = int(usage.ru_utime + usage.ru_stime) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (used + seconds, resource.RLIM_INFINITY))


if __name__ == "__main__":
    main()
