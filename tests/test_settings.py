"""Settings: each is documented, wrong values are named, and secrets are never shown."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from schemas.errors import SetupError
from services.settings import Settings
from tests.conftest import ROOT


def test_every_setting_is_documented_with_its_default() -> None:
    text = (ROOT / "docs" / "settings.md").read_text()
    rows = dict(re.findall(r"^\| `REELPAGE_(\w+)` \| (.*?) \|", text, re.MULTILINE))
    shown = {name.lower(): default.strip("`") for name, default in rows.items()}
    expected = {one.name: "" if one.default == () else str(one.default) for one in fields(Settings)}
    assert shown == expected


def test_values_are_read() -> None:
    given = {
        "REELPAGE_THREADS": "3",
        "REELPAGE_ROOTS": "/media:/more",
        "REELPAGE_SOURCES": "s3://media,s3://more/in/",
        "REELPAGE_MAX_BYTES": "1000",
        "REELPAGE_S3_STYLE": "virtual",
        "REELPAGE_KAFKA": "one:9092,two:9092",
        "HOME": "/",
    }
    settings = Settings.from_environment(given)
    assert (settings.threads, settings.slots) == (3, 2)
    assert settings.roots == (Path("/media"), Path("/more"))
    assert settings.sources == ("s3://media", "s3://more/in")
    assert settings.max_bytes == 1000
    assert settings.s3_style == "virtual"
    assert settings.kafka == "one:9092,two:9092"
    assert Settings.from_environment({}) == Settings()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("threads", "many"),
        ("slots", "0"),
        ("lake", "gs://bucket"),
        ("s3_endpoint", "127.0.0.1:9000"),
        ("s3_endpoint", "http://host/bucket"),
        ("s3_region", ""),
        ("s3_style", "Path"),
        ("kafka", "localhost"),
        ("kafka", "http://one:9092"),
        ("kafka_security", "TLS"),
        ("kafka_mechanism", "plain"),
        ("topic", "a/b"),
        ("group", ""),
        ("instance", "a b"),
        ("graph", "localhost:8000"),
        ("lander", "localhost:8200"),
        ("watch", "9400"),
        ("slots", "2\n"),
        ("sources", "media"),
        ("sources", "s3://Media"),
        ("sources", "s3://"),
        ("max_bytes", "16G"),
    ],
)
def test_a_wrong_value_is_one_line(name: str, value: str) -> None:
    with pytest.raises(SetupError) as caught:
        Settings.from_environment({f"REELPAGE_{name.upper()}": value})
    assert caught.value.code == "usage"
    assert re.fullmatch(rf"REELPAGE_{name.upper()}='.*': give .+", caught.value.message)


def test_a_secret_that_is_none_is_not_shown() -> None:
    for secret in ("hush", "hush hush hush hush", "hüsh" * 9, "hush" * 99):
        with pytest.raises(SetupError, match=r"REELPAGE_SECRET=\.\.\.: give 16 to 256") as caught:
            Settings.from_environment({"REELPAGE_SECRET": secret})
        assert secret not in caught.value.message


def test_secrets_are_not_shown() -> None:
    named = [one.name for one in fields(Settings) if re.search("secret|token|password", one.name)]
    names = [name for name in named if not name.endswith("_file")]
    assert len(names) == 4
    assert "hush" not in repr(Settings(**dict.fromkeys(names, "hush")))
