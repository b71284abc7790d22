"""In process: the model of this process, which several threads ask at a time."""

import threading
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.land.rows import Answer
from schemas.errors import SetupError
from schemas.jobs import Task
from schemas.shards import Shard
from services.model.asking import shard_answers
from services.model.device import resolve
from services.model.facts import model_facts
from services.model.wire import ServedModel

if TYPE_CHECKING:
    from services.model.reader import Model


class InProcess:
    """Both halves of a checkpoint; see `services.ingest.subject.Answerer`.

    They are loaded when the first question comes: work without any has no need of torch.
    """

    def __init__(self, directory: Path, device: str, threads: int) -> None:
        """Read which model it is.

        Raises:
            SetupError: `model_missing` or `model_unsupported`.
        """
        facts = self._facts = model_facts(directory)
        self._device, self._threads = device, threads
        self._model = ServedModel(facts.name, facts.revision, facts.min_pixels, facts.max_pixels)
        self._lock = threading.Lock()
        self._broken: SetupError | None = None

    @property
    def loaded(self) -> "Model":
        """Both halves.

        Raises:
            SetupError: `device_missing`, `model_missing` or `model_unsupported`.
        """
        with self._lock:
            self.read_model()
            return self._halves

    @cached_property
    def _halves(self) -> "Model":
        from services.model.reader import Model, set_threads

        set_threads(self._threads)
        try:
            return Model(self._facts, resolve(self._device))
        except SetupError as error:
            self._broken = error
            raise

    def load(self) -> None:
        """Load it now, so that what is wrong with it is said before any work.

        Raises:
            SetupError: as of `loaded`.
        """
        _ = self.loaded

    @property
    def seconds(self) -> Mapping[str, float]:
        """For how long each half has computed; nothing before they are loaded."""
        return self._halves.seconds if "_halves" in self.__dict__ else {}

    def model(self) -> ServedModel:
        """The model; it is the same for as long as the process lives."""
        return self._model

    def read_model(self) -> None:
        """See `model`.

        Raises:
            SetupError: it could not be loaded; all that is asked of it would fail.
        """
        if self._broken is not None:
            raise self._broken

    def answers(
        self, name: str, shard: Shard, tasks: Sequence[Task], revision: str
    ) -> list[list[Answer]]:
        """See `Answerer`."""
        assert revision == self._model.revision
        return shard_answers(shard, tasks, lambda *asked: self.loaded.read(*asked), self._model)
