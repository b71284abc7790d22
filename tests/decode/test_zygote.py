"""Zygote: it serves many at once, may die, ends with its parent, and says how children ended."""

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.decode import DecodePlan, Limits, Sampling, decode
from pipeline.decode.launch import Zygote, zygote
from pipeline.decode.listen import Child, DiedError
from schemas.errors import InputError
from schemas.shards import Shard
from tests.conftest import ROOT, SAMPLES
from tests.decode.waiting import children, is_alive, wait_for

PLAN = DecodePlan(Sampling("rate", 2.0), pages_per_part=1)
PAGES = 12


@pytest.fixture
def pages(tmp_path: Path) -> Path:
    """Pages of noise: each fills the pipe several times, so the child waits for its reader."""
    noise = np.random.default_rng(0).integers(0, 256, (PAGES, 400, 400, 3), dtype=np.uint8)
    first, *rest = [Image.fromarray(page) for page in noise]
    first.save(tmp_path / "pages.tiff", save_all=True, append_images=rest)
    return tmp_path / "pages.tiff"


def test_eight_threads_read_what_one_reads(pages: Path) -> None:
    paths = [pages, *sorted(SAMPLES.glob("*.p[dn][fg]")), SAMPLES / "scenes.mkv"] * 2
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda path: list(decode(path, PLAN)), paths))
    assert together == [list(decode(path, PLAN)) for path in paths]


def test_a_zygote_that_dies_is_started_anew_and_the_medium_goes_on(pages: Path) -> None:
    whole = list(decode(pages, PLAN))
    items = decode(pages, PLAN)
    found = [next(items), next(items)]
    (child,) = children(zygote().pid)
    os.kill(zygote().pid, signal.SIGKILL)
    wait_for(lambda: not is_alive(child), "the end of its child")
    assert found + list(items) == whole


def test_a_medium_under_which_two_zygotes_die_fails(pages: Path) -> None:
    items = decode(pages, PLAN)
    for _ in range(2):
        next(items)
        (child,) = children(zygote().pid)
        os.kill(zygote().pid, signal.SIGKILL)
        # Till then it may say one more thing, and the second zygote die without a medium.
        wait_for(lambda child=child: not is_alive(child), "the end of its child")
    with pytest.raises(InputError, match=r"pages\.tiff.*ended with the process") as caught:
        list(items)
    assert caught.value.code == "decoder_crashed"
    assert len(list(decode(pages, PLAN))) == 1 + PAGES


def test_closing_ends_the_child(pages: Path) -> None:
    items = decode(pages, PLAN)
    next(items)
    (child,) = children(zygote().pid)
    items.close()
    wait_for(lambda: not is_alive(child), "the end of the child")


def test_none_outlives_a_parent_that_is_killed(pages: Path) -> None:
    """Not even while a process lives on that the parent has forked."""
    code = (
        "import sys; from pathlib import Path; from tests.decode.test_zygote import *\n"
        "items = decode(Path(sys.argv[1]), PLAN); next(items)\n"
        "print(zygote().pid, *children(zygote().pid), flush=True)\n"
        "os.fork() and signal.pause(); sys.stdin.read()"
    )
    command, pipe = [sys.executable, "-c", code, str(pages)], subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True) as parent:
        assert parent.stdout is not None
        processes = [int(word) for word in parent.stdout.readline().split()]
        assert len(processes) == 2
        assert all(map(is_alive, processes))
        wait_for(lambda: children(parent.pid) - {*processes}, "the process that it forks")
        parent.kill()
        wait_for(lambda: not any(map(is_alive, processes)), "the end of zygote and child")


def test_a_process_that_was_forked_has_a_zygote_of_its_own(pages: Path) -> None:
    ours = zygote().pid
    child = os.fork()
    if child == 0:
        works = len(list(decode(pages, PLAN))) == 1 + PAGES and zygote().pid != ours
        os._exit(0 if works else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert zygote().pid == ours
    assert len(list(decode(pages, PLAN))) == 1 + PAGES


def test_what_the_zygote_holds_does_not_count_as_the_mediums_memory(tmp_path: Path) -> None:
    """A picture of 108 MB fits into 256 MiB and not into 64, a small one into 32."""
    large, small = tmp_path / "large.png", tmp_path / "small.png"
    Image.new("RGB", (6000, 6000)).save(large)
    Image.new("RGB", (60, 60)).save(small)
    assert shards(small, Limits(memory_bytes=32 << 20)) == 1
    assert shards(large, Limits(memory_bytes=256 << 20)) == 1
    with pytest.raises(InputError) as caught:
        shards(large, Limits(memory_bytes=64 << 20))
    assert caught.value.code == "decoder_memory"


def shards(path: Path, limits: Limits) -> int:
    return sum(isinstance(item, Shard) for item in decode(path, PLAN, limits))


@pytest.mark.parametrize(
    ("act", "limits", "code", "reason"),
    [
        ("abort", Limits(), "decoder_crashed", "SIGABRT"),
        ("burn", Limits(cpu_s=1), "decoder_timeout", "SIGXCPU"),
        ("hide", Limits(silence_s=2.0), "decoder_timeout", "silent for 2 s"),
    ],
)
def test_how_a_child_ended_is_told(
    thief: Zygote, act: str, limits: Limits, code: str, reason: str
) -> None:
    path = SAMPLES / "phone.png"
    with (
        path.open("rb") as medium,
        Child(path, medium.fileno(), {"act": act}, limits, thief) as child,
        pytest.raises(DiedError, match=reason) as caught,
    ):
        next(child.messages())
    assert caught.value.code == code
    wait_for(lambda: not children(thief.pid), "the end of the child")
