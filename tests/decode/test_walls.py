"""Walls: a child that was taken over gets at nothing, and each wall holds by itself."""

import ctypes
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.decode import Confinement, Limits, confinement
from pipeline.decode.confine.user import become_own_user
from pipeline.decode.launch import Zygote
from services.doctor import sandbox
from tests.conftest import ROOT

HAVING_ROOT = os.geteuid() == 0


@pytest.fixture
def booty(tmp_path: Path) -> Iterator[dict[str, Any]]:
    """Things to steal that are really there."""
    secret = ctypes.create_string_buffer(b"a secret in memory")
    for name in ("private", "spare", "fonts/a.ttf"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"a secret in a file")
        path.chmod(0o600)
    (tmp_path / "fonts/a.ttf").chmod(0o644)
    me = f"/proc/{os.getpid()}"
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield {
            "files": [f"{me}/environ", f"{me}/maps", "/etc/passwd", str(tmp_path / "private")],
            "folder": str(tmp_path),
            "fonts": str(tmp_path / "fonts"),
            "spare": str(tmp_path / "spare"),
            "port": server.getsockname()[1],
            "parent": os.getpid(),
            "group": os.getpgrp(),
            "address": ctypes.addressof(secret),
        }


def ask(zygote: Zygote, order: dict[str, Any]) -> object:
    """What a child of this zygote answers."""
    with Path(os.devnull).open("rb") as medium:
        output, control = zygote.fork(medium.fileno(), {**order, "limits": asdict(Limits())})
    with control, os.fdopen(output, "rb") as answer:
        return json.loads(answer.read())


def alone(walls: list[str], booty: dict[str, Any]) -> set[str]:
    """What a process of our own reaches behind these walls."""
    command = [sys.executable, "-m", "tests.decode.thief", json.dumps(walls), json.dumps(booty)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout))


def test_without_walls_all_of_it_can_be_had(booty: dict[str, Any]) -> None:
    """Otherwise the other tests would show nothing."""
    found = alone([], booty)
    everything = {*booty["files"], "list", "write", "remove", "connect", "listen", "fork"}
    assert found >= everything | {"program", "signal", "signal all"}


def test_a_child_reaches_nothing(thief: Zygote, booty: dict[str, Any]) -> None:
    booty["files"] += ["/proc/self/environ", "/proc/self/status", f"/proc/{thief.pid}/environ"]
    booty["files"] += [f"/proc/{thief.pid}/maps", str(Path("/proc/self/mem"))]
    assert ask(thief, {"act": "steal", "booty": booty}) == []
    assert Path(booty["spare"]).exists()


def test_a_child_cannot_list_the_home_of_root(thief: Zygote, booty: dict[str, Any]) -> None:
    assert ask(thief, {"act": "steal", "booty": booty | {"folder": "/root"}}) == []


def test_landlock_alone_keeps_files(booty: dict[str, Any]) -> None:
    if not confinement().landlock:  # Linux 5.13 brings it; without, seccomp opens no file
        assert alone(["seccomp"], booty) == set()
        return
    booty["files"].append(f"{booty['fonts']}/a.ttf")
    found = alone(["landlock"], booty)
    assert found.isdisjoint({*booty["files"][:-1], "list", "write", "remove", "trace", "memory"})
    assert f"{booty['fonts']}/a.ttf" in found


def test_seccomp_alone_keeps_everything(booty: dict[str, Any]) -> None:
    assert alone(["seccomp"], booty) == set()


def test_seccomp_that_leaves_files_to_landlock_keeps_the_rest(booty: dict[str, Any]) -> None:
    found = alone(["seccomp, opening"], booty)
    assert found == {*booty["files"], "list"}


def test_a_user_of_its_own_keeps_what_is_ours(booty: dict[str, Any]) -> None:
    if not HAVING_ROOT:
        assert not become_own_user()
        return
    found = alone(["user"], booty)
    assert found.isdisjoint({*booty["files"]} - {"/etc/passwd"})
    assert found.isdisjoint({"write", "remove", "signal", "trace", "memory"})


def test_a_child_knows_of_no_medium_before_it(thief: Zygote) -> None:
    """Each is forked from the same clean state, with the medium, the pipe and /dev/null open."""
    for mark in ("one", "two"):
        found = ask(thief, {"act": "mark", "mark": mark})
        assert found == {"marks": [mark], "descriptors": [0, 1, 2, 3]}


def test_the_zygote_has_one_thread_and_no_secret(
    thief: Zygote, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REELPAGE_SECRET", "hidden")
    ask(thief, {"act": "mark", "mark": "warm"})
    assert len(list(Path(f"/proc/{thief.pid}/task").iterdir())) == 1
    if HAVING_ROOT:  # nobody else may look
        assert b"REELPAGE" not in Path(f"/proc/{thief.pid}/environ").read_bytes()


def test_the_doctor_looks_at_what_can_be_read_not_at_what_holds() -> None:
    only_seccomp = Confinement(own_network=False, own_user=False, landlock=0, seccomp=True)
    assert sandbox(only_seccomp).ok
    leaking = sandbox(replace(only_seccomp, reads=("/proc/1/environ",)))
    assert not leaking.ok
    assert "/proc/1/environ" in leaking.found


def test_the_doctor_asks_a_real_child() -> None:
    found = confinement()
    assert (found.reads, found.network, found.seccomp) == ((), False, True)
    assert found.own_user == HAVING_ROOT
