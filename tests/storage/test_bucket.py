"""Objects in a folder and in a real bucket: the same promises, and clear words where they end."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from minio.credentials.providers import StaticProvider

import services.storage.bucket
from pipeline.land.place import Objects
from pipeline.land.store import Folder
from schemas.errors import SetupError, TransientError
from services.settings import Settings
from services.stack.servers import S3Server
from services.storage.bucket import Bucket
from services.storage.places import open_place
from tests.fault_proxy import Fault, FaultProxy, Side
from tests.storage.conftest import Secure, settings_of


def objects_of(bucket: str, settings: Settings) -> Bucket:
    found = open_place(f"s3://{bucket}/lake", settings).objects
    assert isinstance(found, Bucket)
    return found


@pytest.fixture(params=["folder", "bucket"])
def objects(request: pytest.FixtureRequest, tmp_path: Path) -> Objects:
    if request.param == "folder":
        return Folder(tmp_path / "lake")
    s3, bucket = request.getfixturevalue("s3"), request.getfixturevalue("bucket")
    return objects_of(bucket, settings_of(s3))


def test_objects_come_back_by_their_names(
    objects: Objects, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services.storage.bucket, "_PAGE", 2)
    names = ["a/1", "a/10", "a/2/x", "a/B", "a/é ü", "ab", "b"]
    for name in reversed(names):
        objects.put(name, name.encode())
    objects.put("a/1", b"")
    assert list(objects.names("")) == names
    assert list(objects.names("a")) == names[:6]
    assert list(objects.names("a/1")) == names[:2]
    assert list(objects.names("no/")) == []
    assert objects.get("a/1") == b""
    assert objects.get("a/é ü") == "a/é ü".encode()
    assert objects.get("a/none") is None
    assert objects.get("b/none") is None
    for name in ("a/10", "a/none", "c/none"):
        objects.delete(name)
    assert list(objects.names("a/1")) == ["a/1"]


def test_an_object_is_replaced_only_while_it_is_the_one_that_was_read(objects: Objects) -> None:
    assert objects.get_version("a/x") == (None, "")
    assert not objects.replace("a/x", b"none", "another"), "there is none of that version"
    assert objects.get("a/x") is None
    assert objects.replace("a/x", b"first", "")
    assert not objects.replace("a/x", b"again", "")
    data, version = objects.get_version("a/x")
    assert data == b"first"
    objects.put("a/x", b"second")
    assert not objects.replace("a/x", b"third", version)
    data, version = objects.get_version("a/x")
    assert data == b"second"
    assert objects.replace("a/x", b"third", version)
    assert objects.get("a/x") == b"third"
    objects.delete("a/x")
    assert not objects.replace("a/x", b"fourth", version)
    assert objects.get_version("a/x") == (None, "")


@pytest.mark.parametrize("name", ["../x", "a/../../x", "/etc/passwd", ""])
def test_no_name_leads_out_of_a_folder(tmp_path: Path, name: str) -> None:
    folder = Folder(tmp_path / "lake")
    actions = (
        folder.get,
        folder.get_version,
        folder.delete,
        lambda name: folder.put(name, b""),
        lambda name: folder.replace(name, b"", ""),
    )
    for action in actions:
        with pytest.raises(ValueError, match="is no name"):
            action(name)


@pytest.mark.parametrize(
    ("fault", "side"),
    [("reset", "request"), ("reset", "reply"), ("503", "request"), ("hang", "reply")],
)
def test_a_put_outlives_a_fault(s3: S3Server, bucket: str, fault: Fault, side: Side) -> None:
    with FaultProxy(s3.endpoint.removeprefix("http://")) as proxy:
        store = Bucket(
            f"http://{proxy.address}",
            bucket,
            identity=StaticProvider(s3.access_key, s3.secret_key),
            timeout_s=0.5,
        )
        proxy.arm(fault, on=side, match=b"PUT /", times=2)
        store.put("x", b"stored")
        assert proxy.fired[f"{fault} {side}"] == 2
        proxy.arm("cut", on="reply", match=b"GET /")
        assert store.get("x") == b"stored"
        assert proxy.fired["cut reply"] == 1


def failure(action: Callable[[], object], kind: type[SetupError] | type[TransientError]) -> str:
    with pytest.raises(kind) as caught:
        action()
    assert "\n" not in caught.value.message
    return f"{caught.value.code}: {caught.value.message}"


def test_a_dead_store_is_given_up_soon() -> None:
    store = Bucket("http://127.0.0.1:9", "lake", identity=StaticProvider("a", "b"))
    began = time.monotonic()
    message = failure(lambda: store.get("x"), TransientError)
    assert message.startswith("store_failed: bucket lake at http://127.0.0.1:9: does not answer")
    assert "Connection refused" in message
    assert 0.5 < time.monotonic() - began < 10


@pytest.mark.parametrize(
    "wrong", [{"s3_access_key": "x"}, {"s3_secret_key": "x"}, {"s3_session_token": "x"}]
)
def test_wrong_credentials_are_refused_at_once(
    s3: S3Server, bucket: str, wrong: dict[str, str]
) -> None:
    store = objects_of(bucket, Settings(**{**vars(settings_of(s3)), **wrong}))
    for action in (
        lambda: store.put("x", b""),
        lambda: store.get("x"),
        lambda: store.delete("x"),
        lambda: list(store.names("")),
        lambda: store.create("x", b""),
        lambda: store.get_version("x"),
        lambda: store.replace("x", b"", '"etag"'),
    ):
        message = failure(action, SetupError)
        assert message.startswith(f"store_refused: bucket {bucket} at {s3.endpoint}")
        assert "REELPAGE_S3_ACCESS_KEY" in message


def test_a_missing_bucket_is_named(s3: S3Server) -> None:
    store = objects_of("not-there", settings_of(s3))
    message = failure(lambda: store.get("x"), SetupError)
    assert message.startswith("store_missing: bucket not-there at ")


def test_an_unknown_authority_is_trusted_by_name(secure: Secure, s3: S3Server, bucket: str) -> None:
    store = objects_of(bucket, settings_of(s3, secure.endpoint, s3_ca=str(secure.ca_file)))
    store.put("x", b"secret")
    assert store.get("x") == b"secret"
    stranger = objects_of(bucket, settings_of(s3, secure.endpoint))
    message = failure(lambda: stranger.get("x"), SetupError)
    assert message.startswith("store_refused: ")
    assert "REELPAGE_S3_CA" in message


def test_the_bucket_is_in_the_path_or_in_the_host() -> None:
    for style, address in (("path", "'nohost.invalid'"), ("virtual", "'lake.nohost.invalid'")):
        settings = Settings(
            s3_endpoint="http://nohost.invalid",
            s3_access_key="a",
            s3_secret_key="b",
            s3_style=style,
        )
        store = objects_of("lake", settings)
        assert address in failure(lambda: store.create("x", b""), TransientError)  # noqa: B023
