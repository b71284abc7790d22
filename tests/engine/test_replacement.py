"""A process of vLLM that dies or hangs is replaced, and what it was asked is answered."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.generate import Engine, Prompt, WorkItem
from tests.engine.conftest import same
from tests.vlm.models import MEDIA, Model
from training.evaluate import TINY

pytestmark = pytest.mark.vllm

HELD = """
import sys, time
from pathlib import Path
from pipeline.generate import Engine
if __name__ == "__main__":
    engine = Engine(Path(sys.argv[1]), threads=1)
    Path(sys.argv[2]).write_text(" ".join(map(str, engine.processes)))
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    made = Engine(TINY, threads=1, patience_s=20)
    yield made
    made.close()


def test_items_of_a_process_that_is_killed_are_asked_again(engine: Engine, tiny: Model) -> None:
    prompts = [Prompt("Read the text.", 40), Prompt("Describe the picture.", 40)]
    items = [WorkItem(tiny.features(number), prompts) for number in range(len(MEDIA))]
    handles = [engine.submit(x.features, prompt) for x in items for prompt in prompts]
    begun = next(iter(handles[0]))
    (process,) = engine.processes
    os.kill(process, signal.SIGKILL)
    given = [handle.result() for handle in handles]
    right = [one for some in tiny.generator.generate(items) for one in some]
    for one, wanted in zip(given, right, strict=True):
        same(one, wanted)
    assert begun == given[0].tokens[0]
    assert engine.processes != [process]
    engine.check()


def test_one_that_hangs_is_found_out(engine: Engine, tiny: Model) -> None:
    (process,) = engine.processes
    os.kill(process, signal.SIGSTOP)
    items = [WorkItem(tiny.features(0), [Prompt("Read the text.", 40)])]
    same(engine.generate(items)[0][0], tiny.generator.generate(items)[0][0])
    assert engine.processes != [process]


def test_who_is_killed_leaves_no_process_behind(tmp_path: Path) -> None:
    script = tmp_path / "held.py"
    script.write_text(HELD)
    told = tmp_path / "processes"
    command = [sys.executable, script, TINY, told]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as held:
        assert held.stdout is not None
        while "held\n" not in held.stdout.readline():  # vLLM says something before
            assert held.poll() is None
        (process,) = map(int, told.read_text().split())
        assert Path(f"/proc/{process}").exists()
        held.kill()
    give_up = time.monotonic() + 30
    while Path(f"/proc/{process}").exists():
        assert time.monotonic() < give_up
        time.sleep(0.1)
