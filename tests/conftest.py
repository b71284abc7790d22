"""Fixtures for all tests: where the samples and the real media are, and how commands run."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, TYPE_CHECKING, Any

import hypothesis
import pyarrow as pa
import pytest

from pipeline.land.place import Place
from pipeline.land.store import local_place
from pipeline.query.sql import query
from schemas.tables import KEYS
from services.stack.servers import Broker, S3Server
from tests.media import make_media
from tests.servers import broker, bucket, s3, servers, topic  # noqa: F401 - fixtures
from tests.warm import Process, Warm

if TYPE_CHECKING:
    from tests.streams import StreamFactory

# How long an example takes is the machine's business, and says nothing of what is tested.
hypothesis.settings.register_profile(
    "any machine",
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("any machine")

ROOT = Path(__file__).resolve().parents[1]
SAMPLES = ROOT / "samples"
CAPTION = ("--tasks", "caption")
FEW = tuple(SAMPLES / name for name in ("phone.png", "report.pdf", "scenes.mkv", "signs.pdf"))
"""The samples that are quickly read and asked about; the talk alone has more frames than they."""
MEDIA = ROOT.parent / "shared" / "media"
COMMAND = Path(sys.executable).with_name("reelpage")
Running = Process | subprocess.Popen[bytes]
CHANGING = {"run_id", "indexed_at", "failed_at", "latency_us"}


@pytest.fixture(scope="session")
def streams(
    broker: Broker,  # noqa: F811
    s3: S3Server,  # noqa: F811
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator["StreamFactory"]:
    """Makes streams, each with a topic, a lake and a worker process of its own."""
    from tests.streams import StreamFactory  # it needs this module

    factory = StreamFactory(broker, s3, tmp_path_factory.mktemp("streams"))
    yield factory
    factory.end()


REAL = [pytest.param("real", marks=pytest.mark.ci)] if MEDIA.is_dir() else []


@pytest.fixture(scope="session", params=["made", *REAL])
def media(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Videos and PDFs that the tests make, and where there is a folder of real ones those too."""
    return MEDIA if request.param == "real" else make_media(tmp_path_factory.mktemp("made"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many were skipped even if none was: a skipped test is one that nobody runs."""
    skipped = terminalreporter.stats.get("skipped", [])
    terminalreporter.write_line(f"{len(skipped)} skipped")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A test that is skipped fails the run."""
    WARM.close()
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter and reporter.stats.get("skipped") and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@dataclass(frozen=True)
class Result:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:  # noqa: ANN401 - whatever the command printed
        return json.loads(self.out)


def environment(**more: str) -> dict[str, str]:
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("REELPAGE_")}
    # a GPU rounds differently; the stacks of whoever runs the tests are none of theirs
    own = {
        "REELPAGE_DEVICE": "cpu",
        "REELPAGE_THREADS": "1",
        "COLUMNS": "100",
        "XDG_STATE_HOME": "/nonexistent",
    }
    return inherited | own | more


WARM = Warm(environment())


def run(*arguments: str | Path, text: str = "", cwd: Path | None = None, **env: str) -> Result:
    """Run the command as a user does; a traceback is always a failure."""
    with TemporaryFile() as given, TemporaryFile() as out, TemporaryFile() as err:
        given.write(text.encode(errors="surrogateescape"))
        given.seek(0)
        process = launch(arguments, environment(**env), (given, out, err), cwd)
        try:
            code = process.wait(300)
        finally:
            process.kill()
        out.seek(0)
        err.seek(0)
        result = Result(code, _words(out.read()), _words(err.read()))
    assert "Traceback" not in result.err, result.err
    return result


def start(*arguments: str | Path) -> Running:
    """Start the command in a process group of its own."""
    with Path(os.devnull).open("r+b") as nothing:
        return launch(arguments, environment(), (nothing, nothing, nothing))


def launch(
    arguments: Sequence[str | Path],
    env: Mapping[str, str],
    files: Sequence[IO[bytes]],
    cwd: Path | None = None,
) -> Running:
    """Start the command with these standard files, by its name or from the warm process.

    By its name where a setting is not ours alone, as libraries read theirs when they are imported,
    and where it is Ray that runs.
    """
    words = [str(argument) for argument in arguments]
    folder = cwd or Path.cwd()
    ours = all(_is_ours(name) or os.environ.get(name) == env[name] for name in env)
    if ours and words[0] != "serve":
        return WARM.start(words, env, folder, files)
    command = [str(COMMAND), *words]
    given, out, err = files
    return subprocess.Popen(
        command, cwd=folder, env=env, stdin=given, stdout=out, stderr=err, start_new_session=True
    )


def _is_ours(name: str) -> bool:
    return name.startswith("REELPAGE_") or name in ("COLUMNS", "XDG_STATE_HOME")


def _words(output: bytes) -> str:
    return output.decode(errors="surrogateescape")


def rows(lake: Path | Place, table: str) -> list[dict[str, Any]]:
    """All rows of a table without what changes from run to run, in the order of their key."""
    key = ", ".join(KEYS[table])
    place = local_place(lake) if isinstance(lake, Path) else lake
    found: pa.Table = query(place, f"from {table} order by {key}")
    return found.drop_columns([n for n in found.column_names if n in CHANGING]).to_pylist()


def tables(
    lake: Path | Place, names: Sequence[str] = tuple(KEYS)
) -> dict[str, list[dict[str, Any]]]:
    """All tables but `runs`."""
    return {name: rows(lake, name) for name in names if name != "runs"}
