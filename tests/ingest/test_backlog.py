"""A partition with more jobs than its window holds, beside one that is empty."""

from contextlib import closing
from pathlib import Path

import numpy as np
from kafka import KafkaProducer
from PIL import Image

from pipeline.consume import open_input
from schemas.jobs import Job, MediaReference, Task
from services.topic.client import opened
from tests.conftest import rows
from tests.ingest.conftest import StubStream
from tests.streams import StreamFactory

COUNT = 150  # twice what a window holds, and more
HELD_S = 3.0  # several fetches of an empty partition


def test_a_window_that_was_full_is_filled_again(streams: StreamFactory) -> None:
    """It is full behind a slow job, in the midst of a fetch; the other partition is polled."""
    made = streams("backlog")
    stream = StubStream(made.environment, made.logs, made.processes)
    slow = stream.logs / "slow.png"
    noise = np.random.default_rng(8).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(slow)
    paths = [slow, *(Path(f"/nowhere/{number}.png") for number in range(COUNT))]
    with closing(opened(KafkaProducer, bootstrap_servers=stream.settings.kafka)) as producer:
        for path in paths:
            job = Job(path.name, MediaReference(str(path)), (Task("caption", "?", 8),)).to_json()
            key = open_input(path).input_id.encode()  # under another one, it would be sent again
            producer.send(stream.settings.topic, job.encode(), key, partition=0)
    stream.start_worker(delay_s=HELD_S)
    stream.wait(90)
    assert [row["uri"] for row in rows(stream.place, "media")] == [str(slow)]
    assert {row["uri"] for row in rows(stream.place, "failures")} == set(map(str, paths[1:]))
