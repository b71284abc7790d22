"""Topic log: a Kafka topic as the log of a worker."""

from collections.abc import Iterable

from schemas.jobs import Job
from services.ingest.board import Board
from services.ingest.poller import Poller
from services.settings import Settings
from services.topic.broker import Sender
from services.topic.record import Record


class TopicLog:
    """Joins the group with the first poll; see `services.ingest.worker.Log`."""

    ended = False

    def __init__(self, settings: Settings, board: Board) -> None:
        self._settings, self._board = settings, board
        self._poller: Poller | None = None
        self._sender: Sender | None = None

    def poll(self, *, fetch: bool = True) -> None:
        """Heartbeat, follow rebalances, and let jobs into the board.

        Raises:
            TransientError: `broker_failed`; poll again.
            SetupError: `broker_refused` or `topic_missing`.
        """
        self._poller = self._poller or Poller(self._settings, self._board)
        self._poller.poll(fetch=fetch)

    def commit(self) -> None:
        """Commit Kafka's offsets."""
        if self._poller is not None:
            self._poller.commit()

    def send(self, _: Record, jobs: Iterable[tuple[str, Job]]) -> None:
        """Send what a job becomes; by many threads.

        Raises:
            TransientError: `broker_failed`.
        """
        self._sender = self._sender or Sender(self._settings)
        self._sender.send(jobs)
