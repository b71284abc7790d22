"""Generator: the language half of a checkpoint, and all that is being asked of it."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from weakref import WeakValueDictionary

import torch

from pipeline.generate.answers import FinishReason, Generation, Parameters, Prompt, WorkItem
from pipeline.generate.handle import Handle
from pipeline.vlm.cache import Prefix
from pipeline.vlm.checkpoint import default_dtype, load_language, read_tokenizer, stop_tokens
from pipeline.vlm.decoder import Decoder
from pipeline.vlm.positions import VisionBlock, rope_positions
from pipeline.vlm.repetition import repeated_tail
from pipeline.vlm.row import Row
from pipeline.vlm.template import Message, Part, pad_ids, tokenize
from schemas.errors import InputError
from schemas.features import Features


class Generator:
    """The language model of a checkpoint; holds no weight of the vision tower.

    Any thread may ask it; those that wait for answers do the work by turns.
    """

    def __init__(
        self, directory: Path, *, device: str = "cpu", dtype: torch.dtype | None = None
    ) -> None:
        """Load the model and the tokenizer.

        Args:
            directory: of the checkpoint.
            device: of torch.
            dtype: by default bfloat16 on a GPU and float32 on a CPU.

        Raises:
            SetupError: `device_missing`, `model_missing` or `model_unsupported`.
        """
        language = load_language(directory, device, dtype or default_dtype(device))
        self._decoder = Decoder(language)
        self._tokenizer = read_tokenizer(directory)
        self._stops = stop_tokens(directory, self._tokenizer)
        self._pads = pad_ids(self._tokenizer)
        self._width = language.embed.embedding_dim
        config = language.config
        self._window: int = config.text_config.max_position_embeddings
        self._merge: int = config.vision_config.spatial_merge_size
        self._rate: float | None = getattr(config.vision_config, "tokens_per_second", None)
        # Prompts that begin alike are forks of one prefix, for as long as one of them is there.
        self._prefixes: WeakValueDictionary[object, Prefix] = WeakValueDictionary()

    def generate(self, items: Sequence[WorkItem]) -> list[list[Generation]]:
        """Answer every prompt of every item, greedily.

        Returns:
            For each item, one generation a prompt, in their order.

        Raises:
            InputError: as of `submit`.
        """
        handles: list[Handle] = []
        try:
            for item in items:
                handles += [self.submit(item.features, prompt) for prompt in item.prompts]
            waiting = iter(handles)
            return [[next(waiting).result() for _ in item.prompts] for item in items]
        finally:
            for handle in handles:
                handle.cancel()

    def submit(
        self,
        features: Sequence[Features],
        prompt: Prompt,
        parameters: Parameters = Parameters(),  # noqa: B008 - frozen
        priority: int = 0,
    ) -> Handle:
        """Ask one prompt about images or clips; it joins those that are being answered.

        Args:
            features: of what is asked about.
            prompt: the question.
            parameters: how tokens are chosen, greedily by default.
            priority: of those that wait, the lowest comes first.

        Raises:
            InputError: `features_invalid`, if features are of another model; `bad_job`, for a
                prompt that holds control tokens; `too_large`, for one beyond the model's window.
        """
        row = self._row(features, prompt, parameters)
        read = partial(self._generation, prompt, sum(len(one.tokens) for one in features))
        handle = Handle(self._decoder, row, read)
        self._decoder.submit(row, priority)
        return handle

    def _row(self, features: Sequence[Features], prompt: Prompt, parameters: Parameters) -> Row:
        if other := [one for one in features if one.tokens.shape[1] != self._width]:
            message = f"features of width {other[0].tokens.shape[1]}: the model's is {self._width}"
            raise InputError("features_invalid", message)
        blocks = [VisionBlock(*one.grid, one.seconds_per_grid) for one in features]
        kinds = ["image" if one.seconds_per_grid is None else "video" for one in features]
        chat = Message("user", [*map(Part, kinds), Part("text", prompt.text)])
        ids, spans = tokenize([chat], blocks, self._tokenizer, self._merge, prompt.tools)
        if len(ids) + prompt.max_new_tokens > self._window:
            message = (
                f"a prompt of {len(ids)} tokens and an answer of {prompt.max_new_tokens} exceed "
                f"the model's {self._window}; lower the picture's size or the answer's length"
            )
            raise InputError("too_large", message)
        positions, following = rope_positions(
            spans, tokens_per_second=self._rate, merge_size=self._merge
        )
        places = [place for place, token in enumerate(ids) if token in self._pads]
        shared = places[-1] + 2 if places else len(ids) - 1  # with the end of the last picture
        key = tuple(one.key for one in features), tuple(ids[:shared])
        prefix = Prefix(ids[:shared], positions[:, :shared], places, [x.tokens for x in features])
        return Row(
            prefix=self._prefixes.setdefault(key, prefix),
            suffix=ids[shared:],
            positions=positions[:, shared:],
            following=following,
            most=prompt.max_new_tokens,
            ended=partial(self._ended, prompt),
            mask=parameters.mask,
        )

    def _finish(self, row: Row, prompt: Prompt) -> FinishReason | None:
        """Why a row ends with its last token; None if it goes on."""
        if row.tokens[-1] in self._stops:
            return "stop"
        if prompt.stop and any(stop in self._text(row.tokens) for stop in prompt.stop):
            return "stop"
        if repeated_tail(row.tokens):
            return "repetition"
        return "length" if len(row.tokens) >= prompt.max_new_tokens else None

    def _ended(self, prompt: Prompt, row: Row) -> bool:
        return self._finish(row, prompt) is not None

    def _text(self, tokens: Sequence[int]) -> str:
        return str(self._tokenizer.decode(list(tokens), skip_special_tokens=True))

    def _generation(self, prompt: Prompt, visual: int, row: Row, seconds: float) -> Generation:
        reason = self._finish(row, prompt)
        assert reason is not None
        tokens = row.tokens[:-1] if row.tokens[-1] in self._stops else row.tokens
        text = self._text(tokens[: len(tokens) - repeated_tail(tokens)])
        for stop in prompt.stop:
            text = text.partition(stop)[0]
        return Generation(
            text=text.strip(),
            tokens=tuple(tokens),
            finish_reason=reason,
            prompt_tokens=len(row.prefix) + len(row.suffix),
            visual_tokens=visual,
            output_tokens=len(row.tokens),
            logprob=row.logprob / len(row.tokens),
            latency_us=round(seconds * 1e6),
        )
