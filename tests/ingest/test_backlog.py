"""A partition with more jobs than its window holds, beside one that is empty."""

from contextlib import closing
from itertools import count, islice
from pathlib import Path

import numpy as np
from kafka import KafkaProducer
from PIL import Image

from schemas.jobs import Job, MediaReference, Task
from services.topic.client import opened
from tests.conftest import rows
from tests.ingest.conftest import StubStream
from tests.ingest.stream import home_of, key_of
from tests.streams import StreamFactory

PARTITION = 0
COUNT = 150  # twice what a window holds, and more
HELD_S = 3.0  # several fetches of an empty partition


def is_at_home(path: Path) -> bool:
    return home_of(path, 2) == PARTITION


def picture_at_home(path: Path) -> Path:
    """A picture whose content leads it to the partition."""
    chance = np.random.default_rng(8)
    while not path.exists() or not is_at_home(path):
        noise = chance.integers(0, 255, (64, 64, 3), dtype=np.uint8)
        Image.fromarray(noise).save(path)
    return path


def test_a_window_that_was_full_is_filled_again(streams: StreamFactory) -> None:
    """It is full behind a slow job, in the midst of a fetch; the other partition is polled."""
    made = streams("backlog")
    stream = StubStream(made.environment, made.logs, made.processes)
    slow = picture_at_home(stream.logs / "slow.png")
    absent = (Path(f"/nowhere/{number}.png") for number in count())
    paths = [slow, *islice(filter(is_at_home, absent), COUNT)]
    with closing(opened(KafkaProducer, bootstrap_servers=stream.settings.kafka)) as producer:
        for path in paths:
            job = Job(path.name, MediaReference(str(path)), (Task("caption", "?", 8),)).to_json()
            producer.send(stream.settings.topic, job.encode(), key_of(path), partition=PARTITION)
    stream.start_worker(delay_s=HELD_S)
    stream.wait(90)
    assert [row["uri"] for row in rows(stream.place, "media")] == [str(slow)]
    assert {row["uri"] for row in rows(stream.place, "failures")} == set(map(str, paths[1:]))
