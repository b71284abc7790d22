"""Media through Kafka and S3: the rows of one process, but for run ids, times and latency."""

from pathlib import Path

import pytest

from tests.conftest import CAPTION, Result, tables
from tests.media import inputs
from tests.streams import StreamFactory


@pytest.mark.ci
def test_the_stream_gives_the_same_rows(
    media_lake: tuple[Path, Result], media: Path, streams: StreamFactory
) -> None:
    stream = streams(media.name, partitions=4, REELPAGE_ROOTS=str(media))
    stream.start("worker", "worker")
    assert stream.submit(media, *CAPTION)["sent"] == len(inputs(media))
    stream.wait(600)
    assert tables(stream.place) == tables(media_lake[0])
    assert stream.run("verify", stream.location, "--topic").code == 0
    assert stream.end("worker") == 0
