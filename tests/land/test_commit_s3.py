"""Committers on a real S3 that stores and does not say so, and what fails in their place."""

import random
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from uuid import uuid4

import pytest
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from pipeline.land.commit import GroupCommitter, Rows
from pipeline.land.parquet import write_file
from pipeline.land.place import Place
from pipeline.land.tables import append, open_or_create
from services.settings import Settings
from services.stack.servers import S3Server
from services.storage.places import open_place
from tests.fault_proxy import FaultProxy
from tests.tables import numbers, one_row, race, wanted

_SEED = 6
_QUICK = {"aws_timeout": "2s", "aws_connect_timeout": "1s", "aws_max_retries": "2"}


@pytest.fixture
def proxy(s3: S3Server) -> Iterator[FaultProxy]:
    with FaultProxy(s3.endpoint.partition("://")[2]) as running:
        yield running


@pytest.fixture
def place(s3: S3Server, bucket: str, proxy: FaultProxy) -> Place:
    settings = Settings(
        s3_endpoint=f"http://{proxy.address}",
        s3_access_key=s3.access_key,
        s3_secret_key=s3.secret_key,
    )
    opened = open_place(f"s3://{bucket}/lake", settings)
    return replace(opened, options=lambda: opened.options() | _QUICK)


@contextmanager
def faults(proxy: FaultProxy) -> Iterator[None]:
    """Every third of a second a request about a log fails, mostly behind the store's back."""
    chance, stop = random.Random(_SEED), threading.Event()

    def arm() -> None:
        while not stop.wait(chance.uniform(0.1, 0.5)):
            fault = chance.choice(["reset", "503", "cut"])
            side = chance.choice(["reply", "reply", "request"])
            proxy.arm(fault, on=side, match=b"PUT /")  # type: ignore[arg-type]

    thread = threading.Thread(target=arm)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        proxy.disarm()


class ByAddress:
    """Negative control: the same check, but the commit opens the table again by its address."""

    def __init__(self, place: Place) -> None:
        self._place, self._lock = place, threading.Lock()
        self._handle: DeltaTable | None = None

    def look(self, table: str, apps: Sequence[str], *, reload: bool) -> dict[str, int | None]:
        with self._lock:
            while self._handle is None or reload:
                with suppress(OSError, DeltaError):
                    self._handle = open_or_create(self._place, table)
                    break
            return {app: self._handle.transaction_version(app) for app in apps}

    def commit(
        self,
        table: str,
        expected: Mapping[str, int | None],
        positions: Mapping[str, int],
        rows: Rows,
    ) -> bool:
        if self.look(table, list(positions), reload=False) != expected:
            return False
        file = write_file(self._place.objects, table, rows, uuid4().hex)
        time.sleep(random.uniform(0.05, 0.15))  # whoever checks may be paused before he writes
        try:
            again = DeltaTable(self._place.table(table), storage_options=self._place.options())
            append(again, [file.to_action()], positions)
        except (OSError, DeltaError):
            return False
        return True


def test_two_committers_are_exact_under_faults(place: Place, proxy: FaultProxy) -> None:
    with GroupCommitter(place, 0.02) as one, GroupCommitter(place, 0.02) as other:
        with faults(proxy):
            race([one, other], place, apps=3, count=15)
        assert sum(proxy.fired.values()) >= 3
        assert one.look("frames", ["a0"], reload=True) == {"a0": 14}
    assert numbers(place) == wanted(3, 15)


def test_the_control_doubles_rows(place: Place, proxy: FaultProxy) -> None:
    with faults(proxy):
        race([ByAddress(place), ByAddress(place)], place, apps=2, count=15)
    found = numbers(place)
    assert len(found) > len(set(found))


def test_a_lost_acknowledgement_is_a_commit(place: Place, proxy: FaultProxy) -> None:
    """Stored, and the connection dropped: the worker is told that it is there; it is, once."""
    log = f"PUT /{place.uri.removeprefix('s3://')}/frames/_delta_log/".encode()
    with GroupCommitter(place, 0) as committer:
        for number, fault in enumerate(["reset", "503", "hang"]):
            before = None if number == 0 else number - 1
            assert committer.look("frames", ["a0"], reload=False) == {"a0": before}
            rows = one_row("a0", number)
            # a read may be given up before its reply, and would take the fault with it
            proxy.arm(fault, on="reply", match=log)  # type: ignore[arg-type]
            assert committer.commit("frames", {"a0": before}, {"a0": number}, rows)
        assert sum(proxy.fired.values()) == 3
    assert numbers(place) == wanted(1, 3)


def test_a_store_that_is_gone_is_no_failure(place: Place, proxy: FaultProxy) -> None:
    with GroupCommitter(place, 0) as committer:
        rows = one_row("a0", 0)
        committer.look("frames", ["a0"], reload=False)
        with proxy.refusing():
            done: list[bool] = []
            worker = threading.Thread(
                target=lambda: done.append(
                    committer.commit("frames", {"a0": None}, {"a0": 0}, rows)
                )
            )
            worker.start()
            time.sleep(0.5)
        worker.join()
    assert done == [True]
    assert numbers(place) == wanted(1, 1)
