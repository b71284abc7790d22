"""What tests of decoding share."""

from collections.abc import Iterator

import pytest

from pipeline.decode.launch import Zygote
from tests.conftest import ROOT


@pytest.fixture
def thief(monkeypatch: pytest.MonkeyPatch) -> Iterator[Zygote]:
    """A zygote whose children do what `tests.decode.thief` is told."""
    monkeypatch.syspath_prepend(str(ROOT))
    zygote = Zygote("tests.decode.thief")
    yield zygote
    zygote.close()
