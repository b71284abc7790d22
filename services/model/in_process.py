"""In process: the model of this process, which several threads ask at a time."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.land.rows import Answer
from schemas.errors import SetupError
from schemas.features import Features
from schemas.jobs import Task
from schemas.shards import Shard
from services.model.asking import Seen, is_clip, look, told
from services.model.device import resolve
from services.model.facts import model_facts
from services.model.kept import KeptFeatures
from services.model.wire import ServedModel

if TYPE_CHECKING:
    from services.model.reader import Model


class InProcess:
    """Both halves of a checkpoint; see `services.ingest.subject.Answerer`.

    They are loaded when the first question comes: work without any has no need of torch.

    Attributes:
        kept: features that a lake has; none is asked for any without it.
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
        # Of all that ask, one prepares pictures while those of another are encoded.
        self._looking = threading.Semaphore(2)
        self.kept: KeptFeatures | None = None

    @property
    def loaded(self) -> "Model":
        """The model with its decoder.

        Raises:
            SetupError: `device_missing`, `device_full`, `model_missing` or `model_unsupported`.
        """
        with self._loading():
            return self._halves

    @cached_property
    def _halves(self) -> "Model":
        from services.model.reader import Model, set_threads

        set_threads(self._threads)
        return Model(self._facts, resolve(self._device))

    @contextmanager
    def _loading(self) -> Iterator[None]:
        """By one thread; what is wrong is said to all who ask later."""
        with self._lock:
            self.read_model()
            try:
                yield
            except SetupError as error:
                self._broken = error
                raise

    def load(self) -> None:
        """Load all of it now, so that what is wrong with it is said before any work.

        Raises:
            SetupError: as of `loaded`.
        """
        model = self.loaded
        with self._loading():
            _ = model.tower

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
        as_clip = is_clip(tasks)
        seen, features = self._features(name, shard, as_clip)
        answers = self.loaded.answer(features, tasks) if features else []
        return told(shard, tasks, seen, answers)

    def _features(self, name: str, shard: Shard, as_clip: bool) -> tuple[Seen, list[Features]]:
        """What the model sees of a shard: as it was kept, or encoded now."""
        kept = self.kept and self.kept.get(name, shard, as_clip)
        if kept:
            return kept
        with self._looking:
            seen, items = look(shard, as_clip, self._model)
            if items:
                self.load()
            features = self.loaded.encode(items) if items else []
        if self.kept:
            self.kept.put(name, shard, as_clip, seen, features)
        return seen, features
