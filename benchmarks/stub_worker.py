"""An ingest worker of real parts but for the model: `python -m benchmarks.stub_worker`.

For measurements and tests of what is around the model.
"""

import argparse
import logging
import signal
import threading
import time
from collections.abc import Sequence
from functools import partial
from typing import Final

from pipeline.decode import Limits, decode
from pipeline.land.commit import GroupCommitter
from pipeline.land.rows import Answer
from schemas.jobs import Task
from schemas.shards import Shard
from services.ingest.build import of_topic
from services.model.wire import ServedModel
from services.settings import Settings
from services.storage.lakes import open_lake

MODEL: Final = ServedModel("stub", "stub-1", 3136, 37632)


class Stub:
    """Sees something on every picture, after a fixed time a shard, one shard after the other."""

    def __init__(self, delay_s: float) -> None:
        self._delay_s, self._lock = delay_s, threading.Lock()

    def model(self) -> ServedModel:
        """See `services.ingest.subject.Answerer`."""
        return MODEL

    def read_model(self) -> None:
        """See `services.ingest.subject.Answerer`."""

    def answers(
        self, name: str, shard: Shard, tasks: Sequence[Task], revision: str
    ) -> list[list[Answer]]:
        """See `services.ingest.subject.Answerer`."""
        with self._lock:
            time.sleep(self._delay_s)
        return [
            [Answer(task, "seen", "stop") for task in tasks] for _ in range(shard.rows.num_rows)
        ]


def main() -> None:
    """Work until SIGTERM."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--delay-s", type=float, default=0.0)
    parser.add_argument("--image-pixels", type=int, default=Limits.image_pixels)
    options = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s %(message)s")
    logging.getLogger("services").setLevel(logging.INFO)
    settings = Settings.from_environment()
    place = open_lake(settings)
    limited = partial(decode, limits=Limits(image_pixels=options.image_pixels))
    ingest = of_topic(settings, place, Stub(options.delay_s), GroupCommitter(place), limited)
    signal.signal(signal.SIGTERM, lambda *_: ingest.drain())
    ingest.run()


if __name__ == "__main__":
    main()
