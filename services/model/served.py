"""Served: the model of a graph, which reads a shard by its name."""

from collections.abc import Sequence

from pipeline.land.rows import Answer
from schemas.jobs import Task
from schemas.shards import Shard
from services.model.client import GraphClient
from services.model.wire import ServedModel


class Served:
    """Asks the graph; see `services.ingest.subject.Answerer`."""

    def __init__(self, client: GraphClient) -> None:
        """Read which model there is.

        Raises:
            TransientError: `graph_busy` or `graph_failed`.
        """
        self._client = client
        self._model = client.model()

    def model(self) -> ServedModel:
        """The model, as it was last read."""
        return self._model

    def read_model(self) -> None:
        """Read anew which model there is.

        Raises:
            TransientError: `graph_busy` or `graph_failed`.
        """
        self._model = self._client.model()

    def answers(
        self, name: str, shard: Shard, tasks: Sequence[Task], revision: str
    ) -> list[list[Answer]]:
        """For each picture one answer a task. A shard without pictures is not worth a request."""
        return self._client.answers(name, tasks, revision) if shard.rows.num_rows else []
