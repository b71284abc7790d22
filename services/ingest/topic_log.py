"""Topic log: a Kafka topic as the log of a worker."""

from collections.abc import Iterable

from pipeline.land.place import Objects
from schemas.jobs import Job
from services.ingest.board import Board
from services.ingest.poller import Poller
from services.settings import Settings
from services.topic.broker import Sender
from services.topic.homes import home, settled
from services.topic.record import Record


class TopicLog:
    """Joins the group with the first poll; see `services.ingest.worker.Log`."""

    ended = False

    def __init__(self, settings: Settings, board: Board, objects: Objects) -> None:
        self._settings, self._board, self._objects = settings, board, objects
        self._poller: Poller | None = None
        self._sender: Sender | None = None
        self._partitions = 0

    def poll(self, *, fetch: bool = True) -> None:
        """Heartbeat, follow rebalances, and let jobs into the board.

        Raises:
            TransientError: `broker_failed` or `store_failed`; poll again.
            SetupError: `broker_refused` or `topic_missing`.
        """
        self._poller = self._poller or Poller(self._settings, self._board)
        if not self._partitions:
            where = (self._settings.group, self._settings.topic)
            self._partitions = settled(self._objects, *where, self._poller.partitions)
        self._poller.poll(fetch=fetch)

    def commit(self) -> None:
        """Commit Kafka's offsets."""
        if self._poller is not None:
            self._poller.commit()

    def home(self, key: str, job: Job) -> int:
        """The partition in which a job is worked on; known once there has been a poll."""
        return home(key, job, self._partitions)

    def send(self, _: Record, jobs: Iterable[tuple[str, Job]]) -> None:
        """Send what a job becomes; by many threads.

        Raises:
            TransientError: `broker_failed`.
        """
        self._sender = self._sender or Sender(self._settings)
        self._sender.send(jobs, self._partitions)
