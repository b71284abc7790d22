"""The lander over HTTP: workers' threads in, commits out, replies lost on the way."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import urllib3
import uvicorn

from pipeline.land.commit import GroupCommitter
from pipeline.land.place import Place
from pipeline.land.store import local_place
from schemas.errors import SetupError, TransientError
from services.lander.http import LanderClient, lander_app
from tests.fault_proxy import FaultProxy
from tests.tables import land, numbers, race, store, wanted


@contextmanager
def lander(place: Place) -> Iterator[str]:
    """A lander with a committer of its own; its address."""
    with socket.create_server(("127.0.0.1", 0)) as listener, GroupCommitter(place, 0.02) as tables:
        config = uvicorn.Config(lander_app(tables), log_level="warning", lifespan="on")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        while not server.started:
            time.sleep(0.01)
        try:
            yield "{}:{}".format(*listener.getsockname())
        finally:
            server.should_exit = True
            thread.join()


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return local_place(tmp_path)


def test_two_landers_and_lost_replies_land_once(place: Place) -> None:
    with lander(place) as one, lander(place) as other, FaultProxy(one) as proxy:
        sides = [LanderClient(f"http://{proxy.address}"), LanderClient(f"http://{other}")]
        for _ in range(6):
            proxy.arm("reset", on="reply", match=b"/v1/commit")
            proxy.arm("503", on="reply", match=b"/v1/commit")
        race(sides, place, apps=3, count=6)
        assert sum(proxy.fired.values()) >= 2
    assert numbers(place) == wanted(3, 6)


def test_a_lander_that_hangs_is_given_up(place: Place) -> None:
    with lander(place) as address, FaultProxy(address) as proxy:
        client = LanderClient(f"http://{proxy.address}", timeout_s=0.5)
        file = store(place, "a0", 0)
        proxy.arm("hang", on="reply", match=b"/v1/commit")
        with pytest.raises(TransientError) as caught:
            client.commit("frames", {"a0": None}, {"a0": 0}, file)
        assert caught.value.code == "lander_failed"
        land(client, place, "a0", 0, "again")
    assert numbers(place) == wanted(1, 1)
    with pytest.raises(TransientError):
        client.look("frames", ["a0"], reload=True)


def test_errors_arrive_as_they_were_raised(place: Place, tmp_path: Path) -> None:
    (tmp_path / "frames" / "_delta_log").mkdir(parents=True)
    (tmp_path / "frames" / "_delta_log" / f"{0:020}.json").write_text("{")
    with lander(place) as address, pytest.raises(SetupError) as caught:
        LanderClient(f"http://{address}").look("frames", ["a"], reload=False)
    assert caught.value.code == "lake_corrupt"
    assert "frames" in caught.value.message


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("look", b"no JSON"),
        ("look", b"[]"),
        ("look", b'{"table": "frames"}'),
        ("look", b'{"table": "../etc", "apps": [], "reload": false}'),
        ("look", b'{"table": "frames", "apps": [1], "reload": false}'),
        ("commit", b'{"table": "frames", "expected": {}, "positions": {"a": 1}}'),
        ("commit", b'{"table": "frames", "expected": {"a": null}, "positions": {"a": true}}'),
        (
            "commit",
            b'{"table": "frames", "expected": {}, "positions": {}, '
            b'"file": {"path": "../x.parquet", "size": 1, "rows": 1}}',
        ),
        ("look", b" " * (1 << 21)),
    ],
)
def test_a_bad_request_is_refused(place: Place, path: str, body: bytes) -> None:
    with lander(place) as address:
        reply = urllib3.request("POST", f"http://{address}/v1/{path}", body=body, retries=False)
        assert reply.status == 400
        assert reply.json()["code"] == "bad_request"
        assert urllib3.request("GET", f"http://{address}/v1/look", retries=False).status == 404
    assert not list(place.objects.names(""))
