"""Who a process is to the store, while keys and tokens are replaced, and old ones refused."""

import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from pipeline.land.commit import GroupCommitter
from pipeline.land.tables import check_version
from pipeline.query.sql import query
from schemas.errors import ReelpageError, SetupError, TransientError
from services.machine import HOST
from services.settings import Settings
from services.stack.known import known_servers
from services.stack.servers import S3Server, Servers
from services.storage.identity import identity
from services.storage.places import open_place
from tests.tables import land, numbers, wanted

ROLE = "arn:aws:iam::1:role/reelpage"
REPLY = """<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
<AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>{}</AccessKeyId>
<SecretAccessKey>{}</SecretAccessKey><SessionToken></SessionToken><Expiration>{}</Expiration>
</Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"""


@dataclass
class Sts:
    """A security token service: keys for tokens that it knows, for so many seconds."""

    keys: dict[str, tuple[str, str]] = field(default_factory=dict)
    seconds: float = 3600.0
    asked: list[str] = field(default_factory=list)
    url: str = ""


@pytest.fixture
def sts() -> Iterator[Sts]:
    service = Sts()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = {name: one for name, (one,) in parse_qs(urlsplit(self.path).query).items()}
            service.asked.append(asked["WebIdentityToken"])
            found = service.keys.get(asked["WebIdentityToken"])
            good = asked["Action"] == "AssumeRoleWithWebIdentity" and asked["RoleArn"] == ROLE
            self.send_response(200 if good and found else 403)
            self.end_headers()
            if good and found:
                ends = datetime.now(UTC) + timedelta(seconds=service.seconds)
                self.wfile.write(REPLY.format(*found, f"{ends:%Y-%m-%dT%H:%M:%SZ}").encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer((HOST, 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    service.url = f"http://{HOST}:{server.server_port}"
    yield service
    server.shutdown()
    server.server_close()


@dataclass
class Store:
    """An S3 server whose keys can be replaced."""

    s3: S3Server
    pid: int
    file: Path

    def take(self, *keys: tuple[str, str]) -> None:
        """From now on these keys are taken, beside the server's own, and no others."""
        known = json.loads(self.file.read_text())
        actions = known["identities"][0]["actions"]
        for name, secret in keys:
            pair = {"accessKey": name, "secretKey": secret}
            known["identities"].append({"name": name, "credentials": [pair], "actions": actions})
        known["identities"] = [known["identities"][0], *known["identities"][-len(keys) :]]
        self.file.write_text(json.dumps(known))
        os.kill(self.pid, signal.SIGHUP)
        self._wait(keys)

    def _wait(self, keys: tuple[tuple[str, str], ...]) -> None:
        give_up = time.monotonic() + 30
        for name, secret in keys:
            client = replace(self.s3, access_key=name, secret_key=secret).client()
            while True:
                try:
                    client.list_buckets()
                    break
                except Exception:  # noqa: BLE001 - it has not read its file yet
                    assert time.monotonic() < give_up
                    time.sleep(0.1)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    folder = tmp_path_factory.mktemp("identity")
    servers = Servers(folder)
    s3 = servers.s3(["lake"])
    with known_servers(folder) as known:
        pid = known["s3"].pid
    yield Store(s3, pid, folder / "s3.json")
    servers.down(grace_s=0)


def with_token(store: Store, sts: Sts, folder: Path, token: str) -> Settings:
    (folder / "token").write_text(token + "\n")
    return Settings(
        s3_endpoint=store.s3.endpoint,
        s3_token_file=str(folder / "token"),
        s3_role=ROLE,
        s3_sts=sts.url,
    )


FIRST, SECOND = ("first-key", "first-secret-1"), ("second-key", "second-secret-2")


@pytest.mark.ci
def test_a_process_lives_on_while_its_token_and_keys_are_replaced(
    store: Store, sts: Sts, tmp_path: Path
) -> None:
    store.take(FIRST)
    sts.keys, sts.seconds = {"one": FIRST}, 11.0  # fresh for one second
    place = open_place("s3://lake/token", with_token(store, sts, tmp_path, "one"))
    check_version(place, write=True)
    with GroupCommitter(place, 0) as tables:
        land(tables, place, "a0", 0)
        (tmp_path / "token").write_text("two")
        sts.keys = {"two": SECOND}
        store.take(SECOND)  # the first are refused from now on
        time.sleep(1.5)
        land(tables, place, "a0", 1)
    assert numbers(place) == wanted(1, 2)
    assert query(place, "select count(*) as n from frames").to_pylist() == [{"n": 2}]
    assert set(sts.asked) == {"one", "two"}


@pytest.mark.ci
def test_keys_of_a_file_are_read_anew(store: Store, tmp_path: Path) -> None:
    file = tmp_path / "credentials"
    form = "[default]\naws_access_key_id = {}\naws_secret_access_key = {}\n"
    settings = Settings(s3_endpoint=store.s3.endpoint, s3_credentials=str(file))
    file.write_text(form.format(*FIRST))
    store.take(FIRST)
    place = open_place("s3://lake/file", settings)
    with GroupCommitter(place, 0) as tables:
        land(tables, place, "a0", 0)
        file.write_text(form.format(*SECOND))
        store.take(SECOND)
        land(tables, place, "a0", 1)
        place.objects.put("x", b"stored")
    assert numbers(place) == wanted(1, 2)


@pytest.mark.ci
def test_keys_are_asked_for_once_while_they_last(store: Store, sts: Sts, tmp_path: Path) -> None:
    sts.keys = {"one": FIRST}
    who = identity(with_token(store, sts, tmp_path, "one"))
    threads = [threading.Thread(target=who.retrieve) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(sts.asked) == 1


def code_of(settings: Settings) -> str:
    with pytest.raises(ReelpageError) as caught:
        open_place("s3://lake/x", settings).objects.get("x")
    return f"{caught.value.code}: {caught.value.message}"


@pytest.mark.ci
def test_a_token_that_is_refused_is_said_and_never_shown(
    store: Store, sts: Sts, tmp_path: Path
) -> None:
    said = code_of(with_token(store, sts, tmp_path, "a.secret.token"))
    assert said.startswith("store_failed")
    assert "403" in said
    assert sts.url in said
    assert "a.secret.token" not in said


@pytest.mark.parametrize("sts_url", ["http://127.0.0.1:9", "http://no.such.host.invalid"])
def test_a_service_that_is_away_is_transient(tmp_path: Path, sts_url: str) -> None:
    (tmp_path / "token").write_text("a.secret.token")
    settings = Settings(s3_token_file=str(tmp_path / "token"), s3_role=ROLE, s3_sts=sts_url)
    with pytest.raises(TransientError) as caught:
        identity(settings).retrieve()
    assert "a.secret.token" not in caught.value.message


@pytest.mark.ci
def test_files_that_are_missing_are_named(store: Store, sts: Sts, tmp_path: Path) -> None:
    settings = with_token(store, sts, tmp_path, "one")
    (tmp_path / "token").unlink()
    assert "token" in code_of(settings)
    assert "/none" in code_of(Settings(s3_endpoint=store.s3.endpoint, s3_credentials="/none"))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "set one of REELPAGE_S3_ACCESS_KEY"),
        ({"s3_access_key": "a", "s3_credentials": "/b"}, "set one of"),
        ({"s3_access_key": "a"}, "REELPAGE_S3_SECRET_KEY"),
        ({"s3_token_file": "/t", "s3_role": "r"}, "REELPAGE_S3_STS"),
        ({"s3_token_file": "/t", "s3_sts": "http://sts"}, "REELPAGE_S3_ROLE"),
    ],
)
def test_what_is_missing_or_said_twice_is_named(given: dict[str, str], words: str) -> None:
    with pytest.raises(SetupError, match=words):
        identity(Settings(s3_endpoint="http://127.0.0.1:9", **given))
