"""Text: who reads the lines of a shard, this process or the graph."""

import threading

from pipeline.decode import pixels
from pipeline.recognise import Recogniser, ShardText, TextReader, is_readable, shard_text
from pipeline.recognise import revision as recognised_by
from schemas.shards import Shard
from services.model.client import GraphClient


class TextInProcess:
    """The recogniser of this process; see `services.ingest.subject.LineReader`."""

    def __init__(self, reader: TextReader) -> None:
        self._reader = reader
        self._turns = threading.Semaphore(reader.width)  # those that wait hold no pixels

    def text(self, name: str, shard: Shard) -> ShardText:
        """All text of a shard."""
        with self._turns:
            return shard_text(shard, pixels, self._reader)


class TextServed:
    """Asks the graph; what a shard says by itself needs no question."""

    def __init__(self, client: GraphClient) -> None:
        self._client = client
        self._nobody = Recogniser()  # never loaded

    def text(self, name: str, shard: Shard) -> ShardText:
        """All text of a shard.

        Raises:
            TransientError, InputError, SetupError: what the graph says.
        """
        if is_readable(shard):
            return self._client.text(name, recognised_by())
        return shard_text(shard, pixels, self._nobody)
