"""Child: the process in which media are parsed. Started by `sandbox`, never by hand.

Reads the medium from descriptor 0 and writes messages to descriptor 1.
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
_PR_SET_PDEATHSIG = 1
_PR_SET_NO_NEW_PRIVS = 38
_FILES = 64


def main() -> None:
    """Decode one medium as the first argument, JSON, says."""
    job = json.loads(sys.argv[1])
    limits = Limits(**job["limits"])
    _confine(limits, os.fstat(0).st_size)
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not become a message
    with os.fdopen(0, "rb") as file:
        write_message(output, _run(output, file, job, limits))
    output.flush()
    os._exit(0)  # no clean-up code of a library that hostile bytes have passed through


def _run(
    output: BinaryIO, file: BinaryIO, job: dict[str, Any], limits: Limits
) -> InputError | None:
    """Send all messages but the last, and return that."""
    try:
        for message in _messages(file, job, limits):
            write_message(output, message)
            _allow_cpu(limits.cpu_s)
    except InputError as error:
        return error
    except MemoryError:
        text = f"it needs more than {limits.memory_bytes >> 20} MiB to decode; make it smaller"
        return InputError("decoder_memory", text)
    except Exception as error:  # noqa: BLE001 - the parent reports it; nobody reads our stderr
        text = f"the decoder failed ({type(error).__name__}: {error}); re-encode the file"
        return InputError("decoder_crashed", text)
    return None


def _messages(file: BinaryIO, job: dict[str, Any], limits: Limits) -> Iterator[Message]:
    plan = DecodePlan(**(job["plan"] | {"sampling": Sampling(**job["plan"]["sampling"])}))
    head = file.read(HEAD_BYTES)
    file.seek(0)
    content = sniff(head)
    # Each library is imported only for its own kind: a child starts in a third of the time.
    medium: Any
    if content == "document":
        from pipeline.decode.pages import Document

        medium = Document(file, limits, job["skip"])
    elif content == "image":
        from pipeline.decode.images import open_picture

        medium = open_picture(file, limits, job["skip"])
    else:
        from pipeline.decode.video import Video

        medium = Video(file, limits)
    yield medium.info()
    if not job["probe"]:
        yield from medium.shards(plan)


def _confine(limits: Limits, size: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    total = limits.total_cpu_s + (size >> 20) * limits.cpu_s_per_mib
    resource.setrlimit(resource.RLIMIT_CPU, (min(limits.cpu_s, total), total))
    resource.setrlimit(resource.RLIMIT_AS, (limits.memory_bytes, limits.memory_bytes))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (_FILES, _FILES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)  # none outlives a killed worker
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if libc.unshare(_CLONE_NEWNET) != 0:  # where the kernel allows it: no network at all
        libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET)


def _allow_cpu(seconds: int) -> None:
    """Give the child this much more CPU time; beyond it the kernel sends SIGXCPU."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    used = int(usage.ru_utime + usage.ru_stime) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (min(used + seconds, hard), hard))
