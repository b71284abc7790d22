"""Engine: vLLM over our own features, asked as the generator is.

What is asked is followed in an event loop in a thread of its own. A core that dies or hangs is
replaced, and what it was asked goes on where it was. Of the prompts that were in a core that died
one may be the reason, so they go on one at a time, and one that cores die of again and again has
failed.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

import torch

from pipeline.generate.answers import Generation, Parameters, Prompt
from pipeline.generate.core import MOST_VISUAL, Core, CoreDiedError, CoreOptions, longest
from pipeline.generate.handle import Handle
from pipeline.generate.protocol import LanguageModel
from pipeline.generate.wording import Question, Wording
from pipeline.vlm.checkpoint import is_quantised, read_config
from pipeline.vlm.device import default_dtype
from schemas.errors import InputError, SetupError
from schemas.features import Features

log = logging.getLogger(__name__)

_PATIENCE_S: Final = 900.0
_LOOKS: Final = 10  # in that time
_DEATHS: Final = 3


@dataclass(eq=False)
class _Row:
    """A prompt that is being answered; see `pipeline.generate.handle.Running`."""

    question: Question
    priority: int
    tokens: list[int] = field(default_factory=list)
    logprob: float = 0.0
    finished_at: float = 0.0
    cancelled: bool = False
    error: BaseException | None = None
    deaths: int = 0
    followed: "Future[None] | None" = None


class Engine(LanguageModel):
    """The language model of a checkpoint in vLLM, which loads no vision tower.

    Any thread may ask it.
    """

    def __init__(
        self,
        directory: Path,
        *,
        device: str = "cpu",
        dtype: torch.dtype | None = None,
        tensor_parallel: int = 1,
        share: float = 1.0,
        threads: int = 0,
        patience_s: float = _PATIENCE_S,
    ) -> None:
        """Start vLLM and load the model.

        Args:
            directory: of the checkpoint, quantised or not.
            device: "cpu" or "cuda", for which vLLM must have been built.
            dtype: by default bfloat16 on a GPU and float32 on a CPU.
            tensor_parallel: GPUs, or processes on a CPU, that share each layer.
            share: of each GPU that it may fill.
            threads: of each process on a CPU; 0 leaves the choice to torch.
            patience_s: how long nothing may come of it while it is asked.

        Raises:
            SetupError: `usage`, if vLLM is not installed; `device_missing`, `model_missing` or
                `model_unsupported`.
        """
        config = read_config(directory)
        self._wording = Wording(directory, config)
        name = str(dtype or default_dtype(device)).removeprefix("torch.")
        if dtype is None and is_quantised(config):
            name = "auto"
        self._options = CoreOptions(
            directory, device, name, tensor_parallel, share, threads, longest(config)
        )
        self._patience_s = patience_s
        self._changed = threading.Condition()
        self._alone, self._replacing = asyncio.Lock(), asyncio.Lock()
        self._running, self._heard_at = 0, 0.0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="vllm", daemon=True)
        self._thread.start()
        try:
            self._core = asyncio.run_coroutine_threadsafe(self._start(), self._loop).result()
        except BaseException:
            self._end_loop()
            raise
        self._watching = asyncio.run_coroutine_threadsafe(self._watch(), self._loop)

    def submit(
        self,
        features: Sequence[Features],
        prompt: Prompt,
        parameters: Parameters = Parameters(),  # noqa: B008 - frozen
        priority: int = 0,
    ) -> Handle:
        """See `LanguageModel`.

        Raises:
            InputError: also `too_large`, for a clip that vLLM has no room for; `bad_job`, for a
                mask, which cannot reach into its process.
        """
        if parameters.mask is not None:
            message = "vLLM takes no mask of ours on its logits; ask the decoder that is ours"
            raise InputError("bad_job", message)
        row = _Row(self._wording.question(features, prompt), priority)
        if large := [one for one in features if len(one.tokens) > MOST_VISUAL]:
            message = (
                f"a picture or clip of {len(large[0].tokens)} visual tokens: vLLM is given room "
                f"for {MOST_VISUAL}; lower its size, or show fewer frames"
            )
            raise InputError("too_large", message)
        handle = Handle(self, row, partial(self._generation, row))
        row.followed = asyncio.run_coroutine_threadsafe(self._answer(row), self._loop)
        return handle

    def decode(self, until: Callable[[], bool]) -> None:
        """Wait until something is so that answers bring about."""
        with self._changed:
            self._changed.wait_for(until)

    def cancel(self, row: _Row) -> None:
        """End an answer, if it has not ended."""
        with self._changed:
            if row.finished_at:
                return
            row.cancelled, row.finished_at = True, time.perf_counter()
            self._changed.notify_all()
        if row.followed:
            row.followed.cancel()

    @property
    def processes(self) -> list[int]:
        """Process ids of vLLM: those that work beside this one."""
        return self._core.processes

    def check(self) -> None:
        """Whether it can be expected to answer.

        Raises:
            RuntimeError: vLLM is dead, and nobody who asks has had it replaced.
        """
        if self._core.is_dead and not self._running:
            message = "the process of vLLM is dead"
            raise RuntimeError(message)

    def close(self) -> None:
        """End vLLM; who still waits is told that it was cancelled."""
        self._watching.cancel()
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result()
        self._end_loop()

    def _end_loop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _start(self) -> Core:
        core = Core(self._options, sorted(self._wording.stops), self._wording.merge)
        self._heard_at = time.monotonic()
        return core

    async def _stop(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        self._core.close()

    async def _answer(self, row: _Row) -> None:
        """Follow a row to its end, through as many cores as that takes."""
        if not self._running:
            self._heard_at = time.monotonic()
        self._running += 1
        try:
            while not await self._goes_on(row):
                row.deaths += 1
                if row.deaths == _DEATHS:
                    message = f"{_DEATHS} processes of vLLM died with this prompt; leave it out"
                    raise InputError("model_failed", message)
        except asyncio.CancelledError:
            row.cancelled = True
            raise
        except Exception as error:  # noqa: BLE001 - it is raised where the answer is waited for
            row.error = error
        finally:
            self._running -= 1
            with self._changed:
                row.finished_at = row.finished_at or time.perf_counter()
                self._changed.notify_all()

    async def _goes_on(self, row: _Row) -> bool:
        """Follow a row; False if the core died meanwhile."""
        try:
            if not row.deaths:
                await self._follow(row)
            else:
                async with self._alone:
                    await self._follow(row)
        except CoreDiedError:
            return False
        return True

    async def _follow(self, row: _Row) -> None:
        core = await self._living()
        async with aclosing(core.stream(row.question, row.tokens.copy(), row.priority)) as stream:
            async for token, logprob in stream:
                self._heard_at = time.monotonic()
                with self._changed:
                    row.tokens.append(token)
                    row.logprob += logprob
                    self._changed.notify_all()
                if self._wording.finish(row.question.prompt, row.tokens) is not None:
                    return
        message = "vLLM ended an answer that had not ended"
        raise RuntimeError(message)

    async def _living(self) -> Core:
        """A core that lives: another one, where it has died."""
        async with self._replacing:
            if self._core.is_dead:
                log.error("the process of vLLM has died; it is replaced")
                self._core.close()
                try:
                    self._core = await self._start()
                except SetupError as error:  # it could be started before: no fault of the set-up
                    message = f"vLLM did not start again: {error.message}"
                    raise RuntimeError(message) from error
            return self._core

    async def _watch(self) -> None:
        """End a core of which nothing comes."""
        while True:
            await asyncio.sleep(self._patience_s / _LOOKS)
            silent_s = time.monotonic() - self._heard_at
            if self._running and silent_s > self._patience_s and not self._core.is_dead:
                log.error("vLLM has given no token for %.0f s; its process is ended", silent_s)
                self._core.kill()

    def _generation(self, row: _Row, seconds: float) -> Generation:
        return self._wording.generation(row.question, row.tokens, row.logprob, seconds)
