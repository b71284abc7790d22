"""Checkpoints below a prefix of a bucket, on a real S3 server."""

from pathlib import Path

import pytest

from pipeline.vlm.facts import revision
from schemas.errors import ReelpageError
from services.checkpoints import cache
from services.checkpoints.found import checkpoint
from services.settings import Settings
from services.stack.servers import S3Server

TINY = checkpoint(Settings()).folder


@pytest.fixture
def settings(
    s3: S3Server, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Settings:
    """A bucket with the checkpoint that ships, and more that is none of it."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for path in TINY.iterdir():
        if path.is_file():
            s3.client().fput_object(bucket, f"models/tiny/{path.name}", str(path))
    s3.client().fput_object(bucket, "models/tiny/pytorch_model.bin", str(TINY / "config.json"))
    s3.client().fput_object(bucket, "models/tiny/more/config.json", str(TINY / "config.json"))
    return Settings(
        model=f"s3://{bucket}/models/tiny/",
        s3_endpoint=s3.endpoint,
        s3_access_key=s3.access_key,
        s3_secret_key=s3.secret_key,
    )


def said(settings: Settings, address: str = "") -> str:
    with pytest.raises(ReelpageError) as caught:
        checkpoint(settings, address)
    assert "\n" not in caught.value.message
    return caught.value.code


def test_a_prefix_is_copied_once_and_whole(settings: Settings, s3: S3Server, bucket: str) -> None:
    found = checkpoint(settings)
    assert found.address == settings.model.rstrip("/")
    assert {path.name for path in found.folder.iterdir()} == {
        path.name for path in TINY.iterdir() if path.suffix in (".json", ".safetensors")
    }
    assert [path.name for path in cache.folder().iterdir()] == [found.folder.name]
    assert revision(found.folder) == revision(TINY)
    made = (found.folder / "config.json").stat().st_ino
    assert checkpoint(settings) == found
    assert (found.folder / "config.json").stat().st_ino == made
    s3.client().fput_object(bucket, "models/tiny/config.json", str(TINY / "tokenizer_config.json"))
    assert checkpoint(settings).folder != found.folder


def test_what_is_wrong_with_a_prefix_is_said(settings: Settings, tmp_path: Path) -> None:
    assert said(settings, "s3://no-such-bucket-here/models") == "store_missing"
    assert said(settings, f"{settings.model}nothing") == "model_missing"
    assert said(Settings(), settings.model) == "usage"
    (tmp_path / "reelpage").write_text("a file where a folder is to be")
    assert said(settings) == "model_missing"
    assert [path.name for path in tmp_path.iterdir()] == ["reelpage"]
