"""Reader: both halves of a checkpoint in one process, pictures in and answers out."""

import threading
from collections.abc import Mapping, Sequence
from functools import cached_property

import torch

from pipeline.encode import Encoder
from pipeline.generate import Generator, LanguageModel, Prompt, WorkItem
from pipeline.land.rows import Answer
from pipeline.vlm.clip import TEMPORAL, Item
from pipeline.vlm.template import clip_question
from schemas.errors import ReelpageError
from schemas.features import Features
from schemas.jobs import Task
from services.model.facts import ModelFacts
from services.stopwatch import Stopwatch


def set_threads(threads: int) -> None:
    """Threads of the model on a CPU; 0 leaves the choice to torch."""
    if threads:
        torch.set_num_threads(threads)


class Model:
    """Encodes pictures and answers every task about each of them, for any number of threads.

    What they ask is answered together. Encoding and answering take turns, or each would take the
    processors from the other.
    """

    def __init__(self, facts: ModelFacts, device: str) -> None:
        """Load the decoder; the tower is loaded when it is needed.

        Raises:
            SetupError: `device_missing`, `model_missing` or `model_unsupported`.
        """
        self._facts, self._device = facts, device
        self._generator = Generator(facts.directory, device=device)
        self._apart = threading.Lock()
        self._encoding = Stopwatch()

    @property
    def seconds(self) -> Mapping[str, float]:
        """For how long each half has computed."""
        return {"encode": self._encoding.seconds, "generate": self._generator.seconds}

    @cached_property
    def tower(self) -> Encoder:
        """The tower; it is loaded when it is first needed, by one thread.

        Raises:
            SetupError: `device_full`, `model_missing` or `model_unsupported`.
        """
        return Encoder(self._facts.directory, device=self._device)

    def read(self, items: Sequence[Item], tasks: Sequence[Task]) -> list[list[Answer]]:
        """Answer all tasks about each picture or clip.

        Args:
            items: at the size the model takes.
            tasks: the prompts; the same for each item.

        Returns:
            For each item, one answer a task.
        """
        return self.answer(self.encode(items), tasks)

    def encode(self, items: Sequence[Item]) -> list[Features]:
        """Features of pictures and clips."""
        with self._generator.paused(), self._encoding:
            return self.tower.encode(items)

    def answer(self, encoded: Sequence[Features], tasks: Sequence[Task]) -> list[list[Answer]]:
        """For each picture or clip, one answer a task."""
        asked = [(features, tasks) for features in encoded]
        try:
            return answer(self._generator, asked)
        except ReelpageError:
            raise
        except Exception:  # noqa: BLE001 - what was answered with it may be to blame
            pass  # nor is what it holds kept meanwhile
        with self._apart:
            return answer(self._generator.apart(), asked)


def answer(
    generator: LanguageModel, asked: Sequence[tuple[Features, Sequence[Task]]]
) -> list[list[Answer]]:
    """Answer tasks about encoded pictures and clips: for each of them, one answer a task."""
    items = [
        WorkItem(
            [features],
            [Prompt(_words(task.prompt, features), task.max_new_tokens) for task in tasks],
        )
        for features, tasks in asked
    ]
    return [
        [
            Answer(
                task=task,
                text=generation.text,
                finish_reason=generation.finish_reason,
                visual_tokens=generation.visual_tokens,
                prompt_tokens=generation.prompt_tokens,
                output_tokens=generation.output_tokens,
                logprob=generation.logprob,
                latency_us=generation.latency_us,
            )
            for task, generation in zip(tasks, generations, strict=True)
        ]
        for (_, tasks), generations in zip(asked, generator.generate(items), strict=True)
    ]


def _words(prompt: str, features: Features) -> str:
    """What the model is asked: of a clip with its rate, as positions of Qwen2-VL do not say it."""
    seconds = features.seconds_per_grid
    if seconds is None:
        return prompt
    rate = TEMPORAL / seconds
    return clip_question(prompt, round(rate, 2) or float(f"{rate:.1g}"))
