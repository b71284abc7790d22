"""In process: the model of this process, asked for one shard at a time."""

import threading
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from pipeline.land.rows import Answer
from schemas.jobs import Task
from schemas.shards import Shard
from services.model.asking import shard_answers
from services.model.device import resolve
from services.model.reader import Model, model_facts, set_threads
from services.model.wire import ServedModel


class InProcess:
    """Both halves of a checkpoint behind a lock; see `services.ingest.subject.Answerer`."""

    def __init__(self, directory: Path, device: str, threads: int) -> None:
        """Read which model it is; it is loaded once something is asked.

        Raises:
            SetupError: `model_missing` or `model_unsupported`.
        """
        facts = self._facts = model_facts(directory)
        set_threads(threads)
        self._device = resolve(device)
        self._model = ServedModel(facts.name, facts.revision, facts.min_pixels, facts.max_pixels)
        self._lock = threading.Lock()

    @cached_property
    def loaded(self) -> Model:
        """Both halves.

        Raises:
            SetupError: `device_missing`, `model_missing` or `model_unsupported`.
        """
        return Model(self._facts, self._device)

    def load(self) -> None:
        """Load it now, so that what is wrong with it is said before any work.

        Raises:
            SetupError: as of `loaded`.
        """
        _ = self.loaded

    def model(self) -> ServedModel:
        """The model; it is the same for as long as the process lives."""
        return self._model

    def read_model(self) -> None:
        """Nothing to do: see `model`."""

    def answers(
        self, name: str, shard: Shard, tasks: Sequence[Task], revision: str
    ) -> list[list[Answer]]:
        """For each picture of the shard one answer a task."""
        assert revision == self._model.revision
        with self._lock:
            return shard_answers(shard, tasks, self.loaded.read, self._model)
