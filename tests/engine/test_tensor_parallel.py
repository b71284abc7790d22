"""Two processes that share each layer say what one says."""

from pathlib import Path

import pytest

from pipeline.generate import Engine, Prompt, WorkItem
from tests.engine.conftest import same
from tests.vlm.models import MEDIA, QUESTIONS, Model
from training.evaluate import TINY

pytestmark = pytest.mark.vllm


def test_two_processes_share_each_layer(tiny: Model) -> None:
    engine = Engine(TINY, threads=1, tensor_parallel=2)
    try:
        (core,) = engine.processes
        children = Path(f"/proc/{core}/task/{core}/children").read_text().split()
        names = [Path(f"/proc/{child}/comm").read_text() for child in children]
        assert len([name for name in names if name.startswith("VLLM::Worker")]) == 2
        prompts = [Prompt(text, 24) for text in QUESTIONS]
        items = [WorkItem(tiny.features(number), prompts) for number in range(len(MEDIA))]
        right = tiny.generator.generate(items)
        for given, wanted in zip(engine.generate(items), right, strict=True):
            for one, other in zip(given, wanted, strict=True):
                same(one, other)
    finally:
        engine.close()
