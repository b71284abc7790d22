"""Reader: both halves of a checkpoint in one process, pictures in and answers out."""

from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Final

import torch

from pipeline.encode import Encoder
from pipeline.generate import Generation, Generator, Handle, LanguageModel, Prompt
from pipeline.land.rows import Answer
from pipeline.vlm.clip import TEMPORAL, Item, item_tokens
from pipeline.vlm.template import clip_question
from schemas.errors import ReelpageError
from schemas.features import Features
from schemas.jobs import Task
from services.model.errands import Errands
from services.model.facts import ModelFacts

_ENCODED: Final = 4096  # visual tokens at a time, so that the first are answered soon


def set_threads(threads: int) -> None:
    """Threads of the model on a CPU; 0 leaves the choice to torch."""
    if threads:
        torch.set_num_threads(threads)


@dataclass(eq=False)
class _Call:
    """What is asked at once.

    Attributes:
        items: pictures and clips.
        tasks: of each of them.
        answers: once they are there.
        features: of the items.
        handles: for each item, one a task.
    """

    items: Sequence[Item]
    tasks: Sequence[Task]
    answers: "Future[list[list[Answer]]]" = field(default_factory=Future)
    features: Sequence[Features] = ()
    handles: Sequence[Sequence[Handle]] = ()

    @property
    def tokens(self) -> int:
        """Visual tokens of all items."""
        return sum(map(item_tokens, self.items))

    @property
    def ended(self) -> bool:
        """Whether all answers have."""
        return all(handle.ended for some in self.handles for handle in some)


class Model:
    """Encodes pictures and answers every task about each of them, for any number of threads.

    One thread works while there is something to do, since a second one would take the processors
    from it. What waits is encoded together, and joins what is being answered; what fails together
    is done again call by call, so that none fails for another's sake.
    """

    def __init__(self, facts: ModelFacts, device: str) -> None:
        """Load both halves.

        Raises:
            SetupError: `device_missing`, `model_missing` or `model_unsupported`.
        """
        self._encoder = Encoder(facts.directory, device=device)
        self._generator = Generator(facts.directory, device=device)
        self._waiting: deque[_Call] = deque()
        self._running: list[_Call] = []
        self._alone: deque[_Call] = deque()  # those that failed with others
        self._work = Errands(self._step, "model")

    def read(self, items: Sequence[Item], tasks: Sequence[Task]) -> list[list[Answer]]:
        """Answer all tasks about each picture or clip.

        Args:
            items: at the size the model takes.
            tasks: the prompts; the same for each item.

        Returns:
            For each item, one answer a task.
        """
        call = _Call(items, tasks)
        self._waiting.append(call)
        self._work.wake()
        return call.answers.result()

    def _step(self) -> bool:
        """Encode calls that wait, or decode until some do; whether there was anything to do."""
        if self._running and not self._may_join():
            self._decode()
        elif self._alone:
            self._submit(self._alone[0])
            if not self._running:
                self._alone.popleft()
        elif self._waiting:
            self._encode()
        else:
            return False
        return True

    def _may_join(self) -> bool:
        """Whether a call waits, and none has to be alone."""
        return bool(self._waiting) and not self._alone

    def _encode(self) -> None:
        """Encode calls that wait, and have them answered with the others."""
        batch: list[_Call] = []
        while self._waiting and sum(call.tokens for call in batch) < _ENCODED:
            batch.append(self._waiting.popleft())
        try:
            self._encode_together(batch)
        except Exception:  # noqa: BLE001 - one of them may be to blame
            for call in batch:
                self._encode_alone(call)
        for call in batch:
            if not call.answers.done():
                self._submit(call)

    def _encode_together(self, batch: Sequence[_Call]) -> None:
        encoded = iter(self._encoder.encode([item for call in batch for item in call.items]))
        for call in batch:
            call.features = [next(encoded) for _ in call.items]

    def _encode_alone(self, call: _Call) -> None:
        try:
            self._encode_together([call])
        except Exception as error:  # noqa: BLE001 - raised where it is waited for
            call.answers.set_exception(error)

    def _submit(self, call: _Call) -> None:
        try:
            call.handles = submit(self._generator, call.features, call.tasks)
        except Exception as error:  # noqa: BLE001 - raised where it is waited for
            call.answers.set_exception(error)
        else:
            self._running.append(call)

    def _decode(self) -> None:
        """Decode until a call has its answers, or another may join."""
        self._generator.decode(
            lambda: self._may_join() or any(call.ended for call in self._running)
        )
        for call in [call for call in self._running if call.ended]:
            self._running.remove(call)
            self._end(call)

    def _end(self, call: _Call) -> None:
        """Give the answers of a call, unless it has failed with others."""
        was_alone = call in self._alone
        if was_alone:
            self._alone.popleft()
        try:
            answers = [given(call.tasks, handles) for handles in call.handles]
        except Exception as error:  # noqa: BLE001 - raised where it is waited for
            if was_alone or isinstance(error, ReelpageError):
                call.answers.set_exception(error)
            else:
                self._alone.append(call)
        else:
            call.answers.set_result(answers)


def answer(
    generator: LanguageModel, asked: Sequence[tuple[Features, Sequence[Task]]]
) -> list[list[Answer]]:
    """Answer tasks about encoded pictures and clips: for each of them, one answer a task."""
    handles: list[Sequence[Handle]] = []
    try:
        for features, tasks in asked:
            handles += submit(generator, [features], tasks)
        return [given(tasks, some) for (_, tasks), some in zip(asked, handles, strict=True)]
    finally:
        _cancel(handles)


def submit(
    generator: LanguageModel, features: Sequence[Features], tasks: Sequence[Task]
) -> list[Sequence[Handle]]:
    """Ask all tasks about each picture or clip: for each of them, one handle a task.

    Raises:
        InputError: as of `Generator.submit`; then nothing is asked.
    """
    handles: list[list[Handle]] = []
    try:
        for one in features:
            handles.append([])
            for task in tasks:
                prompt = Prompt(_words(task.prompt, one), task.max_new_tokens)
                handles[-1].append(generator.submit([one], prompt))
    except Exception:
        _cancel(handles)
        raise
    return list(handles)


def given(tasks: Sequence[Task], handles: Sequence[Handle]) -> list[Answer]:
    """The answer to each task.

    Raises:
        Exception: what the model fails with.
    """
    return [_answer(task, handle.result()) for task, handle in zip(tasks, handles, strict=True)]


def _cancel(handles: Sequence[Sequence[Handle]]) -> None:
    for some in handles:
        for handle in some:
            handle.cancel()


def _answer(task: Task, generation: Generation) -> Answer:
    return Answer(
        task=task,
        text=generation.text,
        finish_reason=generation.finish_reason,
        visual_tokens=generation.visual_tokens,
        prompt_tokens=generation.prompt_tokens,
        output_tokens=generation.output_tokens,
        logprob=generation.logprob,
        latency_us=generation.latency_us,
    )


def _words(prompt: str, features: Features) -> str:
    """What the model is asked: of a clip with its rate, as positions of Qwen2-VL do not say it."""
    seconds = features.seconds_per_grid
    if seconds is None:
        return prompt
    rate = TEMPORAL / seconds
    return clip_question(prompt, round(rate, 2) or float(f"{rate:.1g}"))
