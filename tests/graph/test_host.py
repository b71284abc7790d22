"""Where the graph listens: on the address that it is told, and only with a secret."""

import http.client
import subprocess
import sys
from pathlib import Path

import pytest

from services.stack.ports import Ports
from tests.conftest import environment, run
from tests.graph.conftest import SECRET, Lake, wait_for

OTHER = "127.0.0.2"
"""An address of this machine that is not the default, and that nobody outside reaches."""


def test_an_open_address_wants_a_secret(tmp_path: Path) -> None:
    result = run("serve", "--host", "0.0.0.0", REELPAGE_LAKE=str(tmp_path))
    assert result.code == 2
    assert result.err.startswith("usage: no secret is set")


@pytest.mark.parametrize("host", ["203.0.113.9", "nowhere.invalid", "::1"])
def test_the_address_is_one_of_this_machine(tmp_path: Path, host: str) -> None:
    secret = {"REELPAGE_SECRET": SECRET}
    result = run("serve", "--host", host, REELPAGE_LAKE=str(tmp_path), **secret)
    assert result.code == 2
    assert result.err.startswith(f"usage: --host {host}: no IPv4 address of this machine")


@pytest.mark.ci
def test_it_listens_where_it_is_told(lake: Lake, tmp_path: Path) -> None:
    ports = Ports()
    (port,) = ports.choose(1)
    ports.close()
    command = [sys.executable, "-P", "-m", "reelpage", "serve", "--colocate"]
    command += ["--host", OTHER, "--port", str(port)]
    settings = environment(REELPAGE_LAKE=str(lake.folder), REELPAGE_SECRET=SECRET)
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(command, env=settings, stdout=log, stderr=log)
    try:
        wait_for(process, f"http://{OTHER}:{port}", tmp_path / "log")
        assert _status(OTHER, port) == http.HTTPStatus.OK
        with pytest.raises(ConnectionRefusedError):
            _status("127.0.0.1", port)
    finally:
        process.terminate()
        process.wait(60)


def _status(host: str, port: int) -> int:
    connection = http.client.HTTPConnection(host, port, timeout=60)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status
    finally:
        connection.close()
