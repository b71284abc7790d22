"""However many ask for text, pictures are taken out of shards by turns."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

from pipeline.decode import DecodePlan, Sampling, decode
from pipeline.recognise.eyes import Picture, Read
from schemas.shards import Shard
from services.model.text import TextInProcess
from tests.conftest import SAMPLES


class Counting:
    """Bounds nothing itself."""

    width = 2

    def __init__(self) -> None:
        self._lock, self._now, self.most = threading.Lock(), 0, 0

    def read(self, picture: Picture) -> list[Read]:
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)
        time.sleep(0.05)
        with self._lock:
            self._now -= 1
        return []


def test_as_many_as_the_recogniser_reads_at_a_time() -> None:
    plan = DecodePlan(Sampling("rate", 1.0))
    (shard,) = (one for one in decode(SAMPLES / "phone.png", plan) if isinstance(one, Shard))
    reader = Counting()
    text = TextInProcess(reader)
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda number: text.text(str(number), shard), range(8)))
    assert len(found) == 8
    assert reader.most == reader.width
