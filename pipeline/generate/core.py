"""Core: a process of vLLM with the language half of a checkpoint; the only module that knows vLLM.

It is a process because one that hangs can be ended, and one that dies takes nobody with it.
"""

import multiprocessing
import os
import subprocess
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from pipeline.generate.wording import Question, with_single_pads
from pipeline.vlm.device import upload
from pipeline.vlm.needs import cell
from schemas.errors import SetupError
from schemas.features import Features

MOST_VISUAL: Final = 16384
"""Visual tokens of the largest picture or clip: what vLLM keeps of encoded media, and the most
that the family was trained with."""
_ROWS: Final = 128  # that run at a time
_CPU: Final = {
    "block_size": 32,  # the least that its kernels take; a shorter beginning is not shared
    "enforce_eager": True,
}
_CPU_CACHE: Final = 1 << 30  # bytes at the least; vLLM takes all that it is given at once
_ENVIRONMENT: Final = {"VLLM_NO_USAGE_STATS": "1", "VLLM_LOGGING_LEVEL": "WARNING"}
_CPU_ENVIRONMENT: Final = {
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",  # else all replicas of a machine are on the same cores
    "TORCHDYNAMO_DISABLE": "1",  # 20 s of compilation for the rank of a token, which nobody asks
}


class CoreDiedError(Exception):
    """The process has ended, and with it all that it was asked."""


@dataclass(frozen=True)
class CoreOptions:
    """What a core is started with.

    Attributes:
        directory: of the checkpoint.
        device: "cpu" or "cuda".
        dtype: of what is computed, "auto" for what the checkpoint says.
        tensor_parallel: devices, or processes on a CPU, that hold a part of each layer.
        share: of each GPU that it may fill.
        threads: of each process on a CPU; 0 leaves the choice to torch.
        longest: bytes that the longest prompt takes of the cache.
    """

    directory: Path
    device: str
    dtype: str
    tensor_parallel: int
    share: float
    threads: int
    longest: int


class Core:
    """One process of vLLM; to be used from one event loop."""

    def __init__(self, options: CoreOptions, stops: Sequence[int], merge: int) -> None:
        """Start it and wait until it has loaded the model, which takes a minute.

        Raises:
            SetupError: `usage`, if vLLM is not there; `device_missing`; `model_unsupported`.
        """
        vllm = _vllm(options)
        self._vllm, self._stops, self._merge = vllm, list(stops), merge
        self._numbers = count()
        before = set(multiprocessing.active_children())
        try:
            arguments = vllm.AsyncEngineArgs(**_arguments(options))
            self._engine = vllm.AsyncLLMEngine.from_engine_args(arguments)
        except (ValueError, RuntimeError, OSError, ImportError) as error:
            words = " ".join(str(error).split())
            message = f"{options.directory}: vLLM does not start with it: {words:.300}"
            raise SetupError("model_unsupported", message) from error
        self._dtype: torch.dtype = self._engine.model_config.dtype
        started = set(multiprocessing.active_children()) - before
        self.processes = [one.pid for one in started if one.pid is not None]
        self._guard = _guard(self.processes)

    @property
    def is_dead(self) -> bool:
        """Whether it can be asked nothing any more."""
        return bool(self._engine.errored)

    async def stream(
        self, question: Question, given: Sequence[int], priority: int
    ) -> AsyncGenerator[tuple[int, float]]:
        """Tokens that follow, each with its log probability, until vLLM ends the answer.

        Args:
            question: a checked one.
            given: tokens of its answer that are there already.
            priority: the lowest comes first.

        Raises:
            CoreDiedError: the process has ended.
            Exception: what vLLM refuses.
        """
        expected = [*question.ids, *given]
        ids = [*with_single_pads(question, self._merge), *given]
        prompt = {"prompt_token_ids": ids, **self._media(question.features)}
        chosen = self._vllm.SamplingParams(
            temperature=0,
            max_tokens=question.prompt.max_new_tokens - len(given),
            stop_token_ids=self._stops,
            ignore_eos=True,  # the end is one of our stops
            logprobs=0,  # of the chosen token alone
            detokenize=False,
            output_kind=self._vllm.sampling_params.RequestOutputKind.DELTA,
        )
        number = str(next(self._numbers))
        outputs = self._engine.generate(prompt, chosen, number, priority=priority)
        try:
            async with aclosing(outputs):
                async for output in outputs:
                    # With a pad too many or too few it would answer as well, and wrongly.
                    if expected and output.prompt_token_ids != expected:
                        message = "vLLM has read other tokens than it was given"
                        raise RuntimeError(message)
                    expected = []  # checked once
                    (part,) = output.outputs
                    for token, logprobs in zip(part.token_ids, part.logprobs or (), strict=True):
                        yield token, logprobs[token].logprob
        except self._vllm.v1.engine.exceptions.EngineDeadError as error:
            raise CoreDiedError from error

    def kill(self) -> None:
        """End the process, whatever it does; who waits for it is told that it has died."""
        for process in self.processes:
            self._vllm.utils.system_utils.kill_process_tree(process)

    def close(self) -> None:
        """End the process and free what it held."""
        self._guard.kill()
        self._guard.communicate()
        self.kill()
        self._engine.shutdown(timeout=0)

    def _media(self, features: Sequence[Features]) -> dict[str, Any]:
        """Features as vLLM takes them. Their keys say which are the same, so that they are shared.

        A key covers pixels, rate, checkpoint, processor and type: other features under the same
        one would be answered with those that came first.
        """
        images = [one for one in features if one.seconds_per_grid is None]
        clips = [one for one in features if one.seconds_per_grid is not None]
        data: dict[str, Any] = {}
        if images:
            embeds, grids = self._tensors(images)
            data["image"] = {"image_embeds": embeds, "image_grid_thw": grids}
        if clips:
            embeds, grids = self._tensors(clips)
            # Without the seconds positions of Qwen2.5-VL are wrong, and nothing is said.
            seconds = torch.tensor([one.seconds_per_grid for one in clips])
            data["video"] = {
                "video_embeds": embeds,
                "video_grid_thw": grids,
                "second_per_grid_ts": seconds,
            }
        keys = {"image": [one.key for one in images], "video": [one.key for one in clips]}
        return {
            "multi_modal_data": data,
            "multi_modal_uuids": {kind: keys[kind] for kind in data},
        }

    def _tensors(self, features: Sequence[Features]) -> tuple[torch.Tensor, torch.Tensor]:
        tokens = upload(np.concatenate([one.tokens for one in features]), "cpu")
        return tokens.to(self._dtype), torch.tensor([one.grid for one in features])


def _arguments(options: CoreOptions) -> dict[str, Any]:
    on_device: dict[str, Any] = {"gpu_memory_utilization": 0.9 * options.share}
    if options.device == "cpu":
        on_device = {**_CPU, "kv_cache_memory_bytes": max(_CPU_CACHE, options.longest * 5 // 4)}
    return {
        "model": str(options.directory),
        "dtype": options.dtype,
        "tensor_parallel_size": options.tensor_parallel,
        "distributed_executor_backend": "mp" if options.tensor_parallel > 1 else None,
        "enable_mm_embeds": True,
        "limit_mm_per_prompt": {"image": 0, "video": 0},  # of pixels: no tower is loaded
        "mm_processor_cache_gb": 0,
        "max_num_batched_tokens": MOST_VISUAL,
        "max_num_seqs": _ROWS,
        "scheduling_policy": "priority",
        "generation_config": "vllm",  # none of the checkpoint's penalties
        "disable_log_stats": True,
        **on_device,
    }


def longest(config: Any) -> int:  # noqa: ANN401 - the library's own class per family
    """Bytes of keys and values of as many tokens as a model's window has, in float32."""
    return int(4 * cell(config) * config.text_config.max_position_embeddings)


def _vllm(options: CoreOptions) -> Any:  # noqa: ANN401 - a package that is not always there
    """The package, for the device.

    Raises:
        SetupError: `usage` or `device_missing`.
    """
    known = _ENVIRONMENT | (_CPU_ENVIRONMENT if options.device == "cpu" else {})
    for name, value in known.items():
        os.environ.setdefault(name, value)
    if options.threads and options.device == "cpu":
        os.environ["OMP_NUM_THREADS"] = str(options.threads)
    try:
        import vllm
        import vllm.platforms
        import vllm.sampling_params
        import vllm.utils.system_utils
        import vllm.v1.engine.exceptions
    except ImportError as error:
        message = f"vLLM cannot be imported ({error}); pip install 'reelpage[vllm]'"
        raise SetupError("usage", message) from error
    there = vllm.platforms.current_platform.device_type
    if there != options.device.partition(":")[0]:
        message = f"this vLLM is made for {there!r}, not for {options.device!r}; install the other"
        raise SetupError("device_missing", message)
    return vllm


def _guard(processes: Sequence[int]) -> "subprocess.Popen[bytes]":
    """What ends the processes when this one has been killed: vLLM's wait for ever then."""
    command = ["sh", "-c", 'read _; kill -9 "$@"', "sh", *map(str, processes)]
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True
    )
