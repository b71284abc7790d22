"""The lander over HTTP: workers' threads in, commits out, replies lost on the way."""

import random
import select
import socket
import time
from base64 import b64encode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import urllib3

from pipeline.land.commit import GroupCommitter
from pipeline.land.lake import open_lake
from pipeline.land.place import Place
from pipeline.land.records import rows_to_bytes
from pipeline.land.rows import to_table
from pipeline.land.store import local_place
from schemas.errors import ReelpageError, SetupError, TransientError
from services.calls.gate import READING
from services.calls.replies import credentials, to_json
from services.graph.landing import LanderReplica
from services.lander.client import LanderClient
from services.lander.metered import Metered
from services.lander.server import served
from services.machine import HOST
from services.settings import Settings
from tests.calls.says import says
from tests.fault_proxy import FaultProxy
from tests.tables import land, numbers, one_row, race, wanted

SECRET = "the-secret-of-the-lander"


@contextmanager
def lander(place: Place) -> Iterator[str]:
    """A lander with a committer of its own; its address."""
    with GroupCommitter(place, 0.02) as tables, served(Metered(tables), SECRET, HOST, 0) as url:
        yield url.removeprefix("http://")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return local_place(tmp_path)


def test_two_landers_and_lost_replies_land_once(place: Place) -> None:
    with lander(place) as one, lander(place) as other, FaultProxy(one) as proxy:
        sides = [
            LanderClient(f"http://{one}", place.objects, SECRET) for one in (proxy.address, other)
        ]
        for _ in range(6):
            proxy.arm("reset", on="reply", match=b"/v1/commit")
            proxy.arm("503", on="reply", match=b"/v1/commit")
        race(sides, place, apps=3, count=6)
        assert sum(proxy.fired.values()) >= 2
    assert numbers(place) == wanted(3, 6)


def test_many_rows_come_as_a_file(place: Place) -> None:
    row = {"media_id": "a0", "sampling": "s"}
    noise = [random.randbytes(500).hex() for _ in range(2000)]
    many = [row | {"frame_no": number, "run_id": text} for number, text in enumerate(noise)]
    with lander(place) as address:
        client = LanderClient(f"http://{address}", place.objects, SECRET)
        client.look("frames", ["a0"], reload=True)
        assert client.commit("frames", {"a0": None}, {"a0": 0}, to_table("frames", many))
        land(client, place, "a0", 1)
    assert len(numbers(place)) == 2001


def test_a_lander_that_hangs_is_given_up(place: Place) -> None:
    with lander(place) as address, FaultProxy(address) as proxy:
        client = LanderClient(f"http://{proxy.address}", place.objects, SECRET, timeout_s=0.5)
        rows = one_row("a0", 0)
        proxy.arm("hang", on="reply", match=b"/v1/commit")
        with pytest.raises(TransientError) as caught:
            client.commit("frames", {"a0": None}, {"a0": 0}, rows)
        assert caught.value.code == "lander_failed"
        land(client, place, "a0", 0, "again")
    assert numbers(place) == wanted(1, 1)
    with pytest.raises(TransientError):
        client.look("frames", ["a0"], reload=True)


def test_errors_arrive_as_they_were_raised(place: Place, tmp_path: Path) -> None:
    (tmp_path / "frames" / "_delta_log").mkdir(parents=True)
    (tmp_path / "frames" / "_delta_log" / f"{0:020}.json").write_text("{")
    with lander(place) as address, pytest.raises(SetupError) as caught:
        LanderClient(f"http://{address}", place.objects, SECRET).look("frames", ["a"], reload=False)
    assert caught.value.code == "lake_corrupt"
    assert "frames" in caught.value.message


LOOK = {"table": "frames", "apps": [], "reload": False}
COMMIT = {"table": "frames", "expected": {}, "positions": {}, "file": None}


def encoded(rows: pa.Table) -> str:
    return b64encode(rows_to_bytes(rows)).decode()


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("look", b"no JSON"),
        ("look", b"[]"),
        ("look", b"[" * 100_000),
        ("look", b"\xff"),
        ("look", to_json({"table": "frames"})),
        ("look", to_json(LOOK | {"table": "../etc"})),
        ("look", to_json(LOOK | {"apps": [1]})),
        ("commit", to_json(COMMIT | {"positions": {"a": 1}})),
        ("commit", to_json(COMMIT | {"expected": {"a": None}, "positions": {"a": True}})),
        ("commit", to_json(COMMIT | {"expected": {"a": 0}, "positions": {"a": 1 << 63}})),
        ("commit", to_json(COMMIT | {"file": {"path": "../x.parquet", "size": 1, "rows": 1}})),
        ("commit", to_json(COMMIT | {"columns": []})),
        ("commit", to_json(COMMIT | {"rows": "no base64!"})),
        ("commit", to_json(COMMIT | {"rows": b64encode(b"no stream").decode()})),
        ("commit", to_json(COMMIT | {"rows": encoded(to_table("pages", [{}]))})),
        ("commit", to_json(COMMIT | {"rows": encoded(to_table("frames", []))})),
    ],
)
def test_a_bad_request_is_refused(place: Place, path: str, body: bytes) -> None:
    with lander(place) as address:
        status, said = ask(f"http://{address}/v1/{path}", body)
        assert (status, said["code"]) == (400, "bad_request")
    assert not list(place.objects.names(""))


def ask(url: str, body: bytes | Iterator[bytes] | None, secret: str = SECRET) -> tuple[int, Any]:
    """One request; status and what the reply says."""
    reply = urllib3.request(
        "POST" if body else "GET", url, body=body, headers=credentials(secret), retries=False
    )
    return reply.status, reply.json()


def test_a_large_request_is_cut_off(place: Place) -> None:
    with lander(place) as address:
        for body in (b" " * ((1 << 20) + 1), iter([b" " * (1 << 20)] * 8)):
            status, said = ask(f"http://{address}/v1/look", body)
            assert (status, said["code"]) == (413, "too_large")


def test_who_is_too_many_is_told_so_before_it_is_read(place: Place) -> None:
    head = f"POST /v1/look HTTP/1.1\r\nHost: lander\r\nAuthorization: Bearer {SECRET}\r\n"
    with lander(place) as address, ExitStack() as stack:
        host, _, port = address.partition(":")
        callers = [
            stack.enter_context(socket.create_connection((host, int(port))))
            for _ in range(READING + 9)
        ]
        for caller in callers:
            caller.sendall(f"{head}Content-Length: 999\r\n\r\nthe first bytes".encode())
        give_up, told = time.monotonic() + 20, set[socket.socket]()
        while len(told) < 9 and time.monotonic() < give_up:
            told |= set(select.select(callers, [], [], 1)[0])
        assert len(told) == 9
        for caller in told:
            reply = caller.recv(4096)
            assert reply.startswith(b"HTTP/1.1 503")
            assert b"retry-after: 1" in reply
        stack.close()
        while (status := ask(f"http://{address}/v1/look", to_json(LOOK))[0]) == 503:
            assert time.monotonic() < give_up
        assert status == 200


def test_another_version_is_told(place: Place) -> None:
    body = to_json(LOOK).replace(b'"version": 2', b'"version": 3')
    with lander(place) as address:
        status, said = ask(f"http://{address}/v1/look", body)
    assert (status, said["code"]) == (422, "version_mismatch")


def test_only_who_knows_the_secret_is_served(place: Place) -> None:
    with lander(place) as address:
        for secret in ("", "another-secret-of-it", SECRET[:-1], "hüsh"):
            for path in ("look", "commit", "nothing"):
                status, said = ask(f"http://{address}/v1/{path}", to_json(LOOK), secret)
                assert (status, said["code"]) == (401, "unauthorized")
            with pytest.raises(SetupError, match="REELPAGE_SECRET"):
                LanderClient(f"http://{address}", place.objects, secret).look(
                    "frames", [], reload=False
                )
        assert ask(f"http://{address}/v1/nothing", None)[0] == 404
        for path in ("healthz", "readyz"):
            assert ask(f"http://{address}/{path}", None, "")[0] == 200
    with (
        GroupCommitter(place) as tables,
        pytest.raises(SetupError, match="openssl"),
        served(tables, "", HOST, 0),
    ):
        pass


def test_an_address_that_is_not_to_be_had_is_said(place: Place) -> None:
    with lander(place) as address, GroupCommitter(place) as tables:
        port = int(address.rpartition(":")[2])
        for host in (HOST, "192.0.2.1"):
            with pytest.raises(SetupError, match="--port"), served(tables, SECRET, host, port):
                pass


def test_what_is_asked_when_it_is_told_to_stop_is_answered(place: Place) -> None:
    with GroupCommitter(place, delay_s=0.5) as tables, ThreadPoolExecutor(1) as threads:
        with served(tables, SECRET, HOST, 0) as url:
            client = LanderClient(url, place.objects, SECRET)
            client.look("frames", ["a0"], reload=True)
            rows = one_row("a0", 0)
            coming = threads.submit(client.commit, "frames", {"a0": None}, {"a0": 0}, rows)
            time.sleep(0.2)
            assert not coming.done()
        assert coming.result()
    assert numbers(place) == wanted(1, 1)


def test_a_lander_without_a_lake_lives_and_is_not_ready(tmp_path: Path) -> None:
    (tmp_path / "media").write_text("in the way")
    with lander(local_place(tmp_path)) as address:
        assert ask(f"http://{address}/healthz", None, "")[0] == 200
        assert ask(f"http://{address}/readyz", None, "")[0] == 503


@pytest.mark.parametrize(
    ("status", "body", "kind", "code"),
    [
        (500, b'{"code": "graph_failed", "message": "died"}', TransientError, "lander_failed"),
        (503, b'{"code": "graph_failed", "message": "died"}', TransientError, "graph_failed"),
        (503, b"busy", TransientError, "lander_failed"),
        (404, b"<html>", TransientError, "lander_failed"),
        (400, b"<html>", TransientError, "lander_failed"),
        (401, b"<html>", TransientError, "lander_failed"),
        (418, b'{"code": "bad_request", "message": "no"}', TransientError, "lander_failed"),
        (200, b"[" * 100_000, TransientError, "lander_failed"),
        (200, b'{"version": 2}', TransientError, "lander_failed"),
        (200, b'{"version": 2, "positions": []}', TransientError, "lander_failed"),
        (200, b'{"version": 9, "positions": {}}', SetupError, "version_mismatch"),
        (400, b'{"code": "bad_request", "message": "no"}', SetupError, "bad_request"),
        (422, b'{"code": "lake_corrupt", "message": "no"}', SetupError, "lake_corrupt"),
    ],
)
def test_a_passing_fault_ends_no_worker(
    place: Place, status: int, body: bytes, kind: type[ReelpageError], code: str
) -> None:
    with says(status, body) as url, pytest.raises(kind) as caught:
        LanderClient(url, place.objects, SECRET).look("media", ["a"], reload=True)
    assert caught.value.code == code


def test_a_lander_keeps_its_folder_from_who_wants_it_alone(place: Place) -> None:
    """A commit that it still holds would land what `index` then lands as well."""
    LanderReplica(Settings(lake=place.uri))
    with pytest.raises(SetupError, match="another reelpage process"), open_lake(Path(place.uri)):
        pass
