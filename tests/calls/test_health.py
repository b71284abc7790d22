"""Health: what is answered at a port of its own, while a process starts, works and hangs."""

import socket
import threading
from contextlib import ExitStack, closing
from dataclasses import dataclass

import pytest
import urllib3
from prometheus_client import Counter
from prometheus_client.parser import text_string_to_metric_families

from schemas.errors import SetupError
from services.calls.health import Health
from services.machine import HOST
from services.stack.ports import Ports

COUNTED = Counter("reelpage_test_of_health", "Of this test")


@dataclass
class Subject:
    alive: bool = True
    ready: bool = True
    asked: int = 0

    def is_alive(self) -> bool:
        return self.alive

    def is_ready(self) -> bool:
        self.asked += 1
        return self.ready


def watched() -> tuple[Health, str]:
    with closing(Ports()) as ports:
        (port,) = ports.choose(1)
    health = Health()
    health.answer(f"{HOST}:{port}")
    return health, f"http://{HOST}:{port}"


def status(url: str, path: str) -> int:
    return urllib3.request("GET", url + path, timeout=10, retries=False).status


def test_a_process_that_starts_is_alive_and_not_ready() -> None:
    health, url = watched()
    assert (status(url, "/healthz"), status(url, "/readyz")) == (200, 503)
    health.subject = Subject()
    assert (status(url, "/healthz"), status(url, "/readyz")) == (200, 200)


@pytest.mark.parametrize("alive", [True, False])
@pytest.mark.parametrize("ready", [True, False])
def test_it_says_what_its_subject_says(alive: bool, ready: bool) -> None:
    health, url = watched()
    health.subject = Subject(alive, ready)
    assert status(url, "/healthz") == (200 if alive else 503)
    assert status(url, "/readyz") == (200 if ready else 503)
    assert status(url, "/v1/look") == 404


def test_many_who_ask_are_one_question_to_the_subject() -> None:
    health, url = watched()
    subject = health.subject = Subject()
    threads = [threading.Thread(target=status, args=(url, "/readyz")) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert subject.asked == 1


def test_metrics_are_text_of_prometheus() -> None:
    _, url = watched()
    COUNTED.inc(3)
    reply = urllib3.request("GET", url + "/metrics", timeout=10)
    found = {one.name: one for one in text_string_to_metric_families(reply.data.decode())}
    assert found["reelpage_test_of_health"].samples[0].value == 3


def test_callers_that_say_nothing_hold_nobody_up() -> None:
    _, url = watched()
    host, port = url.removeprefix("http://").split(":")
    with ExitStack() as stack:
        for _ in range(50):
            stack.enter_context(socket.create_connection((host, int(port))))
        assert status(url, "/healthz") == 200


@pytest.mark.parametrize("where", ["192.0.2.1:9400", "127.0.0.1:70000", "no.such.host.invalid:1"])
def test_an_address_that_is_not_this_machines_is_said(where: str) -> None:
    with pytest.raises(SetupError, match="REELPAGE_WATCH"):
        Health().answer(where)


def test_a_port_that_somebody_has_is_said() -> None:
    _, url = watched()
    with pytest.raises(SetupError, match="choose another"):
        Health().answer(url.removeprefix("http://"))


def test_nothing_is_answered_where_nothing_is_set() -> None:
    before = threading.active_count()
    Health().answer("")
    assert threading.active_count() == before
