"""Meters: what a worker counts for whoever watches it; docs/metrics.md says what each is."""

import logging
import time
from collections.abc import Iterator
from typing import Final

from prometheus_client import Counter, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from pipeline.land.batch import Part
from pipeline.land.protocol import Batch
from pipeline.land.window import next_offset
from schemas.jobs import Job
from services.ingest.board import Board
from services.topic.record import Record

log = logging.getLogger(__name__)

_MILLI: Final = 1000  # Kafka's clock
_AGES: Final = (1, 5, 15, 60, 300, 900, 3600, 4 * 3600, 24 * 3600)
JOBS: Final = Counter("reelpage_jobs", "Jobs that have ended, by how", ["outcome"])
FAILURES: Final = Counter("reelpage_failures", "Rows of `failures`, by code", ["code"])
SHARDS: Final = Counter("reelpage_shards", "Parts of media that had pictures")
PICTURES: Final = Counter("reelpage_pictures", "Frames and pages that were kept", ["kind"])
ANSWERS: Final = Counter("reelpage_answers", "Rows of `answers`")
TOKENS: Final = Counter(
    "reelpage_tokens",
    "Tokens of those rows: visual, prompt (the visual ones among them), output",
    ["kind"],
)
AGE_SECONDS: Final = Histogram(
    "reelpage_age_seconds",
    "Time from a job's arrival in the topic until all of it is in the tables",
    buckets=_AGES,
)


class Meters:
    """Told of what a worker makes and lands; see `Watch`. It logs how jobs end, too."""

    def __init__(self) -> None:
        self._ended: dict[tuple[int, int], int] = {}

    def made(self, record: Record, job: Job | None, part: Part) -> None:
        """See `Watch`."""
        _count(part)
        if part.final:
            JOBS.labels(part.outcome).inc()
            self._ended[record.partition, record.offset] = record.timestamp
            why = "; ".join(row["message"] for row in part.rows.get("failures", ()))
            said = log.warning if why else log.info
            said("job %s: %s %s", job.id if job else record.mark, part.outcome, why)

    def landed(self, batch: Batch) -> None:
        """All before the batch's end is in the tables."""
        number, end, now = int(batch.app.rpartition("/")[2]), next_offset(batch.last), time.time()
        for partition, offset in list(self._ended):
            if partition == number and offset < end:
                came = self._ended.pop((partition, offset)) / _MILLI
                AGE_SECONDS.observe(max(0.0, now - came))


class Held(Collector):
    """What a worker's board holds at the moment that it is asked."""

    def __init__(self, board: Board) -> None:
        self._board = board

    def collect(self) -> Iterator[Metric]:
        """See `Collector`."""
        yield GaugeMetricFamily(
            "reelpage_held_bytes",
            "Bytes of records and rows that wait for their landing",
            self._board.bytes_held(),
        )
        states = GaugeMetricFamily(
            "reelpage_partitions", "Partitions that are this worker's, by state", labels=["state"]
        )
        for state, count in self._board.states().items():
            states.add_metric([state], count)
        yield states
        lag = GaugeMetricFamily(
            "reelpage_lag_jobs", "Jobs of a partition that have not landed", labels=["partition"]
        )
        for number, jobs in self._board.lag().items():
            lag.add_metric([str(number)], jobs)
        yield lag


def _count(part: Part) -> None:
    SHARDS.inc(part.pictures > 0)
    for kind, table in (("frame", "frames"), ("page", "pages")):
        PICTURES.labels(kind).inc(len(part.rows.get(table, ())))
    for row in part.rows.get("failures", ()):
        FAILURES.labels(row["code"]).inc()
    for row in part.rows.get("answers", ()):
        ANSWERS.inc()
        for kind in ("visual", "prompt", "output"):
            TOKENS.labels(kind).inc(row[f"{kind}_tokens"] or 0)
