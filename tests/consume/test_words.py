"""Texts of users as they are stored and shown: on one line, and without their secrets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.consume import masked, quoted

ANY_TEXT = st.text(st.characters(codec=None, categories=None, max_codepoint=0x10FFFF))
NAMES = (
    "token",
    "sig",
    "Signature",
    "X-Amz-Signature",
    "X-Amz-Security-Token",
    "X-Amz-Credential",
    "X-Goog-Signature",
    "key",
    "api_key",
    "apikey",
    "AWSAccessKeyId",
    "access_token",
    "accessToken",
    "password",
    "secret",
    "client_secret",
    "auth",
    "%74oken",
)
WORD = st.text("abcdefghijklmnopqrstuvwxyz0123456789-._~%", min_size=1)


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("https://me:hush@host/a.mp4", "https://***@host/a.mp4"),
        ("https://hush@host:80/a.mp4?t=1", "https://***@host:80/a.mp4?t=1"),
        ("https://me:hu@sh@host/a@b", "https://***@host/a@b"),
        ("https://h/a?page=2&sig=hush&w=3#x", "https://h/a?page=2&sig=***&w=3#x"),
        ("https://h/a#access_token=hush", "https://h/a#access_token=***"),
        ("index https://h/a?key=hush --to lake", "index https://h/a?key=*** --to lake"),
        ("https://h/a?author=me&keyword=x&design=y", "https://h/a?author=me&keyword=x&design=y"),
        ("s3://bucket/a@b?c=d", "s3://bucket/a@b?c=d"),
        ("/media/token=1.mp4", "/media/token=1.mp4"),
        ("https://h/a?token", "https://h/a?token"),
    ],
)
def test_secrets_are_masked_and_the_rest_stays(given: str, shown: str) -> None:
    assert masked(given) == shown


@given(ANY_TEXT)
def test_any_text_can_be_masked_and_once_is_enough(text: str) -> None:
    assert masked(masked(text)) == masked(text)


@given(st.lists(st.tuples(WORD, WORD)), st.sampled_from(NAMES), st.integers(0, 9))
def test_no_place_in_an_address_hides_a_secret(
    others: list[tuple[str, str]], name: str, place: int
) -> None:
    pairs = [f"{key}={value}" for key, value in others]
    pairs.insert(place, f"{name}=hu/sh=HUSH")
    text = masked("https://user:HUSH@host/a.mp4?" + "&".join(pairs))
    assert "HUSH" not in text
    assert text.startswith("https://***@host/a.mp4?")
    assert text.count("=") == len(pairs)


@given(ANY_TEXT)
def test_any_text_is_quoted_on_one_line(text: str) -> None:
    assert quoted(text).isprintable()
    quoted(text).encode()
