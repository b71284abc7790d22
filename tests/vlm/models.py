"""A checkpoint beside the whole model of the library, and what both are asked."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np

from pipeline.encode import Encoder
from pipeline.generate import Generation, Generator, Handle, Parameters, Prompt
from pipeline.vlm.checkpoint import read_tokenizer, stop_tokens
from pipeline.vlm.clip import Clip
from pipeline.vlm.row import Mask
from schemas.features import Features
from tests.vlm.reference import NEW, Reference
from training.evaluate import draw
from training.table import PARTS

SHOWN = ("English, one to three lines", "german", "japanese", "clip: what", "page", "one shape")
EXAMPLES = [
    example
    for part in PARTS
    if part.name in SHOWN
    for example in draw(part.name, part.draw, 2, seed=4)
]
PIXELS = [one.picture if one.fps is None else Clip(one.picture, one.fps) for one in EXAMPLES]
MEDIA: list[list[np.ndarray | Clip]] = [
    *([one] for one in PIXELS),
    *(PIXELS[0:4:3], PIXELS[6:1:-4], [PIXELS[1], PIXELS[4], PIXELS[0]]),
]
"""Pictures and clips, one, two or three a prompt."""
LONG = "Read the text."
QUESTIONS = sorted(
    {one.prompt for one in EXAMPLES} | {LONG, "Describe the picture.", "?", "7 + 15 ="}
)


class Model:
    """A checkpoint, and what the whole model of the library says."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.generator = Generator(directory)
        self.encoder = Encoder(directory)
        self.stop = stop_tokens(directory, read_tokenizer(directory))
        self.batch = self.generator._decoder._batch

    @cache  # noqa: B019 - as long as the tests
    def features(self, number: int) -> Sequence[Features]:
        return self.encoder.encode(MEDIA[number])

    @cache  # noqa: B019
    def expected(self, number: int, question: str) -> list[int]:
        """The library's own `generate`; its positions are wrong for clips, where it is our loop."""
        reference = Reference(self.directory, MEDIA[number], question)
        clips = any(isinstance(one, Clip) for one in MEDIA[number])
        return reference.loop() if clips else reference.library_generate()

    def submit(
        self,
        number: int,
        question: str,
        most: int = NEW,
        mask: Mask | None = None,
        priority: int = 0,
    ) -> Handle:
        prompt, features = Prompt(question, most), self.features(number)
        return self.generator.submit(features, prompt, Parameters(mask), priority)

    def check(self, given: Generation, number: int, question: str, most: int = NEW) -> None:
        right = self.expected(number, question)[:most]
        tokens = [*given.tokens, *(self.stop if given.finish_reason == "stop" else ())]
        assert tokens == right[: given.output_tokens]
        assert given.output_tokens == len(right) or given.finish_reason == "repetition"


@cache
def model(directory: Path) -> Model:
    return Model(directory)
