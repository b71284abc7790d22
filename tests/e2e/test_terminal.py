"""On a terminal: the live table of stages, and Ctrl-C."""

import os
import pty
import select
import signal
import subprocess
import time
from pathlib import Path

from tests.conftest import COMMAND, FEW, environment, run

STAGES = ("consume", "decode", "recognise", "encode", "generate", "land")
WAIT_S = 120


def on_terminal(*arguments: str | Path) -> tuple[subprocess.Popen[bytes], int]:
    """Start the command with a pseudo-terminal as its screen."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [COMMAND, *map(str, arguments)],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=environment(TERM="xterm-256color"),
        start_new_session=True,
    )
    os.close(theirs)
    return process, ours


def read_until(screen: int, words: bytes = b"") -> str:
    """What appears on the screen until some words do, or to its end."""
    shown, end = b"", time.monotonic() + WAIT_S
    while time.monotonic() < end:
        if select.select([screen], [], [], 0.2)[0]:
            try:
                block = os.read(screen, 65536)
            except OSError:  # the other side is closed
                break
            shown += block
            if not block or (words and words in shown):
                break
    return shown.decode(errors="replace")


def test_the_stage_table_counts_to_the_end(tmp_path: Path) -> None:
    process, screen = on_terminal("index", *FEW, "--to", tmp_path / "lake", "--tasks", "caption")
    shown = read_until(screen)
    assert process.wait(WAIT_S) == 0, shown
    os.close(screen)
    for stage in STAGES:
        assert stage in shown
    assert "busy" in shown
    assert "ETA" in shown
    assert "4 of 4 inputs" in shown
    assert "100%" in shown
    assert "4 inputs = 4 indexed + 0 skipped + 0 failed" in shown


def test_ctrl_c_ends_with_130_and_the_same_command_goes_on(tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    process, screen = on_terminal("index", *FEW, "--to", lake, "--tasks", "caption")
    shown = read_until(screen, b"generate")
    os.killpg(process.pid, signal.SIGINT)
    shown += read_until(screen)
    assert process.wait(WAIT_S) == 130, shown
    os.close(screen)
    assert "Traceback" not in shown
    assert "same command" in shown
    again = run("index", *FEW, "--to", lake, "--tasks", "caption", "--json")
    assert again.code == 0
    assert run("verify", lake).code == 0
