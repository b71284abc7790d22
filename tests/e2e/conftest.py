"""An indexed lake of a few samples, made once in every execution mode."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from pipeline.land.place import Place
from pipeline.land.store import local_place
from services.stack.ports import Ports
from tests.conftest import CAPTION, FEW, Result, run
from tests.streams import Stream, StreamFactory

MODES = ("local", "kafka", pytest.param("ray", marks=pytest.mark.ci))
"""Execution modes: one process; a worker with the model in it, behind Kafka and S3; the same with
the model in Ray Serve, which takes half a minute to start and is left to CI."""

ASKED = {"local": "text,caption,ocr", "kafka": "caption,ocr", "ray": "text,caption,ocr"}
"""Tasks by mode. Lines take most of the time; behind Kafka they are read in the mode "ray"."""


@dataclass(frozen=True)
class Indexed:
    """A lake of a few samples.

    Attributes:
        mode: how it was made.
        location: what commands call it.
        place: the same, opened.
        index: indexes the samples, to the end; takes further options.
        result: of the first time.
        environment: settings that commands need.
    """

    mode: str
    location: str
    place: Place
    index: Callable[..., Result]
    result: Result
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def has_lines(self) -> bool:
        """Whether its text was asked for."""
        return "text" in ASKED[self.mode]

    def run(self, *arguments: str | Path) -> Result:
        return run(*arguments, **self.environment)


@pytest.fixture(scope="session")
def local(tmp_path_factory: pytest.TempPathFactory) -> Indexed:
    lake = tmp_path_factory.mktemp("local") / "lake"

    def index(*options: str) -> Result:
        return run("index", *FEW, "--to", lake, "--tasks", ASKED["local"], *options)

    return Indexed("local", str(lake), local_place(lake), index, index())


@pytest.fixture(scope="session")
def captioned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake of captions alone, which takes seconds; nobody changes it."""
    lake = tmp_path_factory.mktemp("captioned") / "lake"
    assert run("index", *FEW, "--to", lake, *CAPTION).code == 0
    return lake


@pytest.fixture(scope="session", params=MODES)
def indexed(request: pytest.FixtureRequest) -> Indexed:
    found: Indexed = request.getfixturevalue(request.param)
    return found


@pytest.fixture(scope="session", params=["local", pytest.param("ray", marks=pytest.mark.ci)])
def read(request: pytest.FixtureRequest) -> Indexed:
    """One with lines."""
    found: Indexed = request.getfixturevalue(request.param)
    assert found.has_lines
    return found


@pytest.fixture(scope="session")
def kafka(streams: StreamFactory) -> Indexed:
    return _streamed("kafka", started(streams, "kafka", "kafka"))


@pytest.fixture(scope="session")
def ray(streams: StreamFactory) -> Indexed:
    return _streamed("ray", started(streams, "ray", "ray"))


def started(streams: StreamFactory, mode: str, name: str) -> Stream:
    """A stream with a worker, and with the graph in the mode "ray"."""
    if mode == "kafka":
        stream = streams(name)
    else:
        with closing(Ports()) as ports:
            port = ports.choose(1)[0]
        url = f"http://127.0.0.1:{port}"
        stream = streams(name, REELPAGE_GRAPH=url)
        stream.start("serve", "serve", "--port", str(port))
        stream.wait_for_graph(url)
    stream.start("worker", "worker")
    return stream


def _streamed(mode: str, stream: Stream) -> Indexed:
    def index(*options: str) -> Result:
        result = stream.run("submit", *FEW, "--tasks", ASKED[mode], *options)
        stream.wait()
        return result

    return Indexed(mode, stream.location, stream.place, index, index(), stream.environment)


@pytest.fixture(scope="session")
def media_lake(media: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    """The media, indexed by one process."""
    target = tmp_path_factory.mktemp("media") / "lake"
    return target, run("index", media, "--to", target, *CAPTION)
