"""Busy: for how long the stages of a run have worked, so that it can say which one holds it up."""

from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path

from pipeline.decode import DecodePlan, Fill, decode
from pipeline.recognise import ShardText
from schemas.shards import Decoded, Shard
from services.ingest.subject import LineReader
from services.stopwatch import Stopwatch


class Busy:
    """Decodes and has text read, by the clock."""

    def __init__(self, reader: LineReader) -> None:
        self._reader = reader
        self._decode, self._recognise = Stopwatch(), Stopwatch()

    @property
    def seconds(self) -> Mapping[str, float]:
        """By stage; of decoding, those in which a slot waited for it."""
        return {"decode": self._decode.seconds, "recognise": self._recognise.seconds}

    def decode(
        self, path: Path, plan: DecodePlan, *, fill: Fill | None = None
    ) -> Iterator[Decoded]:
        """See `pipeline.decode.decode`."""
        with closing(decode(path, plan, fill=fill)) as items:
            while True:
                with self._decode:
                    item = next(items, None)
                if item is None:
                    return
                yield item

    def text(self, name: str, shard: Shard) -> ShardText:
        """See `services.ingest.subject.LineReader`."""
        with self._recognise:
            return self._reader.text(name, shard)
