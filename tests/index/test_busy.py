"""For how long each stage has worked, and which one holds a run up."""

import threading
import time
from pathlib import Path

from rich.console import Console

from services.index.progress import Progress, bottleneck, stage_table
from services.stopwatch import Stopwatch
from tests.conftest import CAPTION, SAMPLES, run


def test_threads_that_work_at_a_time_count_once() -> None:
    watch, inside = Stopwatch(), threading.Barrier(3)

    def work() -> None:
        with watch:
            inside.wait()
            time.sleep(0.1)

    threads = [threading.Thread(target=work) for _ in range(3)]
    started = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    spent = time.monotonic() - started
    assert 0.1 <= watch.seconds <= spent
    before = watch.seconds
    time.sleep(0.01)
    assert watch.seconds == before
    with watch:
        time.sleep(0.01)
        assert watch.seconds > before, "it goes on while somebody is inside"


def test_the_bottleneck_is_who_works_most() -> None:
    assert bottleneck({"decode": 0.7, "generate": 0.9}) == "generate"
    assert bottleneck({"decode": 0.2, "generate": 0.1}) == "", "all wait for something else"
    assert bottleneck({}) == ""
    progress = Progress(seconds=lambda: {"generate": 1e6, "decode": 0.0})
    screen = Console(record=True, width=100)
    screen.print(stage_table(progress))
    (line,) = (line for line in screen.export_text().splitlines() if "bottleneck" in line)
    assert line.split()[0] == "generate"
    assert "100%" in line


def test_a_run_says_it(tmp_path: Path) -> None:
    done = run("index", SAMPLES / "phone.png", "--to", tmp_path / "lake", *CAPTION, "--json")
    busy = done.json["busy"]
    assert set(busy) == {"decode", "recognise", "encode", "generate", "land"}
    assert busy["recognise"] == 0
    assert all(0 < busy[stage] <= 1 for stage in busy if stage != "recognise")
    assert done.json["bottleneck"] in ("", *busy)
    again = run("index", SAMPLES / "phone.png", "--to", tmp_path / "lake", *CAPTION, "--json")
    assert "generate" not in again.json["busy"], "the model was not loaded"
