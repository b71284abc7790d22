"""A stack: found from anywhere, kept up, and gone when it should be."""

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from services.stack.processes import Process
from tests.conftest import COMMAND, SAMPLES, environment
from tests.stack.conftest import Stack, StackFactory, wait_for_end, wait_until


@pytest.fixture(scope="module")
def stack(stacks: StackFactory) -> Stack:
    """One with a worker that runs the model itself."""
    made = stacks("main")
    made.up("--root", str(SAMPLES))
    return made


@pytest.fixture
def small(stacks: StackFactory, request: pytest.FixtureRequest) -> Stack:
    """One of servers alone, up."""
    made = stacks(request.node.name.removeprefix("test_"))
    made.up("--workers", "0")
    return made


def restarted(stack: Stack, name: str, pid: int) -> bool:
    one = stack.look()["processes"][name]
    return one["state"] == "running" and one["pid"] != pid


def test_up_twice_is_up_once(stack: Stack) -> None:
    before = stack.look()
    stack.up("--root", str(SAMPLES))
    assert stack.look() == before
    other = stack.run("up", "--no-serve", "--workers", "2")
    assert (other.code, "with other options" in other.err) == (2, True)
    taken = stack.run("up", "--no-serve", "--name", "another")
    assert (taken.code, "it has this folder" in taken.err) == (2, True)
    assert stack.look() == before


def test_its_settings_are_its_owners_alone(stack: Stack) -> None:
    (entry,) = (stack.home / "state").rglob("main.json")
    assert stat.S_IMODE(entry.stat().st_mode) == 0o600
    assert stat.S_IMODE(entry.parent.stat().st_mode) == 0o700
    secret = stack.up("--root", str(SAMPLES))["environment"]["REELPAGE_SECRET"]
    assert len(secret) >= 32
    assert secret in Path(f"/proc/{stack.pid('worker-1')}/environ").read_text()
    assert secret not in stack.run("status", "--json").out


@pytest.mark.ci
def test_a_killed_worker_is_started_again_and_jobs_land(stack: Stack, tmp_path: Path) -> None:
    """Everything from another directory, as nothing there names the stack."""
    pid = stack.kill("worker-1")
    sent = stack.run("submit", SAMPLES / "phone.png", "--wait", "--json", cwd=tmp_path)
    assert sent.json["landed"] == {"indexed": 1, "failed": 0}, sent.err
    worker = stack.look()["processes"]["worker-1"]
    assert (worker["state"], worker["restarts"]) == ("running", 1)
    assert worker["pid"] != pid
    assert "running    1 restarts  pid" in stack.run("status", cwd=tmp_path).out
    lake = stack.run("status", "s3://lake", cwd=tmp_path).out
    assert "media      1\n" in lake
    assert "worker-1   running    1 restarts  pid" in lake
    assert "broker     running" not in lake


@pytest.mark.ci
def test_dead_servers_come_back_where_they_were(stack: Stack, tmp_path: Path) -> None:
    before = stack.up("--root", str(SAMPLES))["environment"]
    pids = {name: stack.kill(name) for name in ("s3", "broker")}
    wait_until(lambda: all(restarted(stack, *one) for one in pids.items()), "servers are back")
    assert stack.up("--root", str(SAMPLES))["environment"] == before
    sent = stack.run("submit", SAMPLES / "report.pdf", "--wait", "--json", cwd=tmp_path)
    assert sent.json["landed"] == {"indexed": 1, "failed": 0}, sent.err


@pytest.mark.ci
def test_several_stacks_are_told_apart(stack: Stack, small: Stack, tmp_path: Path) -> None:
    lake = ("query", "s3://lake", "select count(*) n from media", "--json")
    unclear = stack.run(*lake, cwd=tmp_path)
    assert unclear.code == 2
    assert all(f"{one.name} of {one.data}" in unclear.err for one in (stack, small))
    assert "REELPAGE_STACK=NAME" in unclear.err
    assert stack.run(*lake, cwd=tmp_path, REELPAGE_STACK="main").json[0]["n"] > 0
    assert stack.run(*lake).json[0]["n"] > 0, "the one of this directory"
    assert stack.run("status", "s3://lake", REELPAGE_STACK="none").code == 2
    assert stack.run("doctor", cwd=tmp_path).code == 0, "no matter which"
    ended = stack.run("down", "--name", small.name, "--json", cwd=tmp_path).json["ended"]
    assert ended == ["broker", "s3"]
    assert small.look() is None
    assert small.left() == []
    assert stack.look()["up"]
    again = stack.run("down", cwd=tmp_path)
    assert (again.code, "there are: main" in again.out) == (0, True)


def test_without_its_folder_it_ends(small: Stack) -> None:
    shutil.rmtree(small.data, ignore_errors=True)
    wait_for_end(small.left)
    assert small.look() is None


@pytest.mark.ci
def test_a_new_folder_of_its_name_is_another(small: Stack) -> None:
    small.data.rename(small.folder / "old")
    small.data.mkdir()
    wait_for_end(small.left)
    assert list(small.data.iterdir()) == []


def test_nothing_outlives_a_killed_supervisor(small: Stack) -> None:
    """And where no kernel ends it, `down` does: here, another process under a member's name."""
    os.kill(small.look()["supervisor"], signal.SIGKILL)
    wait_for_end(small.left, 5)
    assert small.look()["left_over"] == []
    (path,) = (small.home / "state").rglob(f"{small.name}.json")
    entry = json.loads(path.read_text())
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as left:
        one = Process.of(left.pid)
        entry["members"]["s3"] |= {"pid": one.pid, "started": one.started}
        entry["members"]["broker"] |= {"pid": os.getpid(), "started": 1}  # the pid was used again
        path.write_text(json.dumps(entry))
        assert small.look()["left_over"] == ["s3"]
        assert "its supervisor is gone, s3 left over" in small.run("status").out
        assert small.run("down", "--json").json["ended"] == ["s3"]
        assert left.wait(5) == -signal.SIGTERM
    assert small.look() is None


@pytest.mark.ci
def test_up_again_after_a_killed_supervisor(small: Stack) -> None:
    before = small.seen
    os.kill(small.look()["supervisor"], signal.SIGKILL)
    # On a busy machine a killed process may live until it runs again: until then the stack is up.
    wait_for_end(lambda: [one for one in before[:3] if one.alive])
    assert small.up("--workers", "0")["up"]
    assert small.run("down", "--json").json["ended"] == ["broker", "s3"]
    assert small.left() == []


@pytest.mark.ci
def test_a_supervisor_that_hangs_is_killed(small: Stack) -> None:
    os.kill(small.look()["supervisor"], signal.SIGSTOP)
    assert small.run("down", "--json").json["ended"] == ["broker", "s3"]
    wait_for_end(small.left, 5)


@pytest.mark.ci
def test_what_dies_again_and_again_is_given_up(small: Stack) -> None:
    """The others run on; what it said last is in `status` and in `up`."""

    def is_given_up() -> bool:
        broker = small.look()["processes"]["broker"]
        if broker["pid"]:
            with suppress(ProcessLookupError):
                os.kill(broker["pid"], signal.SIGKILL)
        return bool(broker["state"] == "failed")

    wait_until(is_given_up, "it is given up")
    found = small.look()["processes"]
    assert (found["broker"]["restarts"], found["s3"]["state"]) == (5, "running")
    last = (small.data / "broker.log").read_text().splitlines()[-1]
    assert f"failed     5 restarts  {last}"[:60] in small.run("status").out
    refused = small.run("up", "--no-serve", "--workers", "0")
    assert refused.code == 2
    assert "broker is given up after 5 restarts" in refused.err
    assert last[:40] in refused.err
    assert small.run("down", "--json").json["ended"] == ["s3"]


@pytest.mark.ci
def test_the_end_of_the_shell_is_none_of_its(stacks: StackFactory) -> None:
    """Killed with all its process group while `up` waits."""
    stack = stacks("of-a-shell")
    with subprocess.Popen(
        ["bash", "-c", f"{COMMAND} up --no-serve --workers 0; true"],
        cwd=stack.folder,
        env=environment(XDG_STATE_HOME=str(stack.home / "state")),
        start_new_session=True,
        stderr=subprocess.DEVNULL,
    ) as shell:
        wait_until(lambda: stack.look() is not None, "it is in the registry")
        supervisor = stack.look()["supervisor"]
        os.killpg(shell.pid, signal.SIGKILL)
    assert stack.up("--workers", "0")["supervisor"] == supervisor
    assert {one["restarts"] for one in stack.look()["processes"].values()} == {0}
    assert stack.run("down", "--json").json["ended"] == ["broker", "s3"]
    assert stack.left() == []
