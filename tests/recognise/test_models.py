"""Models of the recogniser: damaged ones are refused, and those of further scripts are used."""

import http.server
import shutil
import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.recognise import Listed, Recogniser, fetched, further, revision
from pipeline.recognise import engine as engines
from pipeline.recognise import models as module
from schemas.errors import ReelpageError, SetupError
from services.hub import fetch_model
from tests.recognise.test_lines import drawn

OWN = "PP-OCRv6_rec_small.onnx"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder of the user's; nothing of it is remembered."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    revision.cache_clear()
    yield tmp_path
    revision.cache_clear()


@pytest.fixture
def mirror(home: Path) -> Iterator[str]:
    """A server of a folder with the wheel's own model under a further one's name."""
    files = home / "files"
    files.mkdir()
    shutil.copy(own(), files / further()["korean"].path.name)
    (files / further()["arabic"].path.name).write_bytes(b"<html>not found</html>")
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(files))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def own() -> Path:
    return module._home() / "models" / OWN


def as_listed(name: str) -> Listed:
    """A further model as if the list named the wheel's own."""
    listed = module._list()["PP-OCRv6"]["rec"]["multi_PP-OCRv6_rec_small"]
    return replace(further()[name], sha256=listed["SHA256"])


def outcome(model: Listed, mirror: str) -> str:
    try:
        return str(fetch_model(model, mirror).relative_to(module.folder()))
    except ReelpageError as error:
        return error.code


def test_a_model_is_fetched_once_and_whole(mirror: str) -> None:
    assert outcome(as_listed("korean"), mirror) == "korean_PP-OCRv5_rec_mobile.onnx"
    assert [one.name for one in fetched()] == ["korean"]
    assert outcome(as_listed("korean"), "http://127.0.0.1:1") == "korean_PP-OCRv5_rec_mobile.onnx"
    assert outcome(further()["arabic"], mirror) == "model_missing"  # something else was given
    assert outcome(further()["thai"], mirror) == "model_missing"  # nothing was
    assert outcome(further()["greek"], "http://127.0.0.1:1") == "fetch_failed"
    assert [path.name for path in module.folder().iterdir()] == ["korean_PP-OCRv5_rec_mobile.onnx"]


def test_a_damaged_model_is_refused(home: Path) -> None:
    before = revision()
    revision.cache_clear()
    path = further()["korean"].path
    path.parent.mkdir(parents=True)
    path.write_bytes(own().read_bytes()[:-1])
    with pytest.raises(SetupError, match="reelpage models --fetch korean") as caught:
        revision()
    assert caught.value.code == "model_missing"
    path.unlink()
    assert revision() == before


def test_further_models_change_the_revision(home: Path) -> None:
    before, korean = revision(), as_listed("korean")
    korean.path.parent.mkdir(parents=True)
    shutil.copy(own(), korean.path)
    assert module.digest_of([korean]) != before == module.digest_of([])


def test_a_further_model_is_loaded_and_reads(home: Path) -> None:
    """The wheel's own model stands for one of another script: what it reads is known."""
    path = further()["korean"].path
    path.parent.mkdir(parents=True)
    shutil.copy(own(), path)
    reader = Recogniser(1)
    lines = reader.read(np.asarray(drawn([(40, 40, "Invoice 40718")])))
    assert [line.text for line in lines] == ["Invoice 40718"]
    assert len(reader._engines) == 2


class Blind:
    """An engine that finds lines and is sure of none."""

    def __init__(self, eyes: Any) -> None:  # noqa: ANN401 - rapidocr is untyped
        self._eyes = eyes

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        return getattr(self._eyes, name)

    def recognize_txt(self, pictures: list[Any]) -> Any:  # noqa: ANN401
        read = self._eyes.recognize_txt(pictures)
        read.scores = [0.4 for _ in read.scores]
        return read


def test_what_one_model_cannot_read_another_one_does() -> None:
    picture = np.asarray(drawn([(40, 40, "Invoice 40718"), (40, 120, "Total due: 1,250.00")]))
    sees = Recogniser(1)._load(None)
    both = list(engines._lines([Blind(sees), sees], picture, 0.5))
    assert sorted(text for _, text, _ in both) == ["Invoice 40718", "Total due: 1,250.00"]
    alone = list(engines._lines([Blind(sees)], picture, 0.5))
    assert [(text, score) for _, text, score in alone] == [("", 0.4)] * 2
