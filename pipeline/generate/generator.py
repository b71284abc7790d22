"""Generator: the language half of a checkpoint, and all that is being asked of it."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from copy import copy
from functools import partial
from pathlib import Path
from weakref import WeakValueDictionary

import torch

from pipeline.generate.answers import Generation, Parameters, Prompt
from pipeline.generate.handle import Handle
from pipeline.generate.protocol import LanguageModel
from pipeline.generate.wording import Question, Wording
from pipeline.vlm.cache import Prefix
from pipeline.vlm.checkpoint import load_language
from pipeline.vlm.decoder import Decoder
from pipeline.vlm.device import default_dtype
from pipeline.vlm.positions import rope_positions
from pipeline.vlm.row import Row
from schemas.features import Features


class Generator(LanguageModel):
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
        config = language.config
        self._language, self._decoder = language, Decoder(language)
        self._wording = Wording(directory, config)
        self._rate: float | None = getattr(config.vision_config, "tokens_per_second", None)
        # Prompts that begin alike are forks of one prefix, for as long as one of them is there.
        self._prefixes: WeakValueDictionary[object, Prefix] = WeakValueDictionary()

    def submit(
        self,
        features: Sequence[Features],
        prompt: Prompt,
        parameters: Parameters = Parameters(),  # noqa: B008 - frozen
        priority: int = 0,
    ) -> Handle:
        """See `LanguageModel`."""
        question = self._wording.question(features, prompt)
        row = self._row(question, parameters)
        handle = Handle(self._decoder, row, partial(self._generation, question, row))
        self._decoder.submit(row, priority)
        return handle

    @property
    def seconds(self) -> float:
        """For how long it has computed."""
        return self._decoder.seconds

    def paused(self) -> AbstractContextManager[None]:
        """Give no answer while a block runs, so that what it computes has the device alone."""
        return self._decoder.paused()

    def apart(self) -> "Generator":
        """The same model, whose answers fail with none of this one's."""
        other = copy(self)
        other._decoder, other._prefixes = Decoder(self._language), WeakValueDictionary()
        return other

    def _row(self, question: Question, parameters: Parameters) -> Row:
        features, ids = question.features, question.ids
        positions, following = rope_positions(
            question.spans, tokens_per_second=self._rate, merge_size=self._wording.merge
        )
        places = [place for place, token in enumerate(ids) if token in self._wording.pads]
        shared = places[-1] + 2 if places else len(ids) - 1  # with the end of the last picture
        key = tuple(one.key for one in features), tuple(ids[:shared])
        prefix = Prefix(ids[:shared], positions[:, :shared], places, [x.tokens for x in features])
        return Row(
            prefix=self._prefixes.setdefault(key, prefix),
            suffix=ids[shared:],
            positions=positions[:, shared:],
            following=following,
            most=question.prompt.max_new_tokens,
            ended=partial(self._ended, question.prompt),
            mask=parameters.mask,
        )

    def _ended(self, prompt: Prompt, row: Row) -> bool:
        return self._wording.finish(prompt, row.tokens) is not None

    def _generation(self, question: Question, row: Row, seconds: float) -> Generation:
        return self._wording.generation(question, row.tokens, row.logprob, seconds)
