"""vLLM says what our decoder says, token by token, in any order of what comes and goes."""

import json
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from pipeline.encode import Encoder
from pipeline.generate import Engine, Generation, Generator, Prompt, WorkItem
from pipeline.vlm.clip import Clip
from tests.engine.conftest import same
from tests.vlm.arrivals import Arrived, arrivals
from tests.vlm.models import MEDIA, PIXELS, QUESTIONS, Model
from training.evaluate import TINY

pytestmark = pytest.mark.vllm

TOOL = '{"type": "function", "function": {"name": "tap", "parameters": {}}}'
WHAT_HAPPENS = "The clip has 4 frames per second. What happens?"
PROMPTS = [
    *(Prompt(text, 40) for text in QUESTIONS),
    Prompt("Read the text.", 3),
    Prompt("Read the text.", 40, stop=("e",)),
    Prompt("What is this?", 40, tools=(TOOL,)),
]


def test_pictures_and_clips_with_all_prompts(engine: Engine, tiny: Model) -> None:
    items = [WorkItem(tiny.features(number), PROMPTS) for number in range(len(MEDIA))]
    items.append(WorkItem([], PROMPTS))
    reasons = set()
    for given, right in zip(engine.generate(items), tiny.generator.generate(items), strict=True):
        for one, other in zip(given, right, strict=True):
            same(one, other)
            reasons.add(other.finish_reason)
    assert reasons >= {"stop", "length"}


def test_what_has_the_same_form_is_not_taken_for_it(engine: Engine, tiny: Model) -> None:
    """Pictures upside down and clips backwards: only a key of their content tells them apart."""
    turned = [
        Clip(x.frames[::-1].copy(), x.fps) if isinstance(x, Clip) else x[::-1] for x in PIXELS
    ]
    prompts = [Prompt("Read the text.", 16), Prompt(WHAT_HAPPENS, 16)]
    items = [WorkItem([one], prompts) for one in tiny.encoder.encode([*PIXELS, *turned])]
    right = tiny.generator.generate(items)
    here, there = right[: len(PIXELS)], right[len(PIXELS) :]
    differ = [
        [one.tokens for one in some] != [one.tokens for one in others]
        for some, others in zip(here, there, strict=True)
    ]
    assert sum(differ) > len(PIXELS) / 2
    for given, wanted in zip(engine.generate(items), right, strict=True):
        for one, other in zip(given, wanted, strict=True):
            same(one, other)


class Asked(Arrived):
    """A prompt that runs, and what must come of it."""

    def __init__(self, engine: Engine, tiny: Model, chance: random.Random) -> None:
        self.features = tiny.features(chance.randrange(len(MEDIA)))
        self.prompt = Prompt(chance.choice(QUESTIONS), chance.randint(1, 24))
        priority = chance.choice((0, 0, 0, -1, 5))
        super().__init__(engine.submit(self.features, self.prompt, priority=priority))

    def check(self, right: Generation) -> None:
        assert tuple(self.tokens)[: len(right.tokens)] == right.tokens[: len(self.tokens)]
        if not self.cancelled:
            same(self.handle.result(), right)


def test_any_order_of_arrival_and_cancellation(engine: Engine, tiny: Model) -> None:
    chance = random.Random(3)
    there = arrivals(lambda: Asked(engine, tiny, chance), 1000, chance)
    right = tiny.generator.generate([WorkItem(one.features, [one.prompt]) for one in there])
    for one, (wanted,) in zip(there, right, strict=True):
        one.check(wanted)
    assert any(one.cancelled for one in there)


@pytest.fixture(scope="module")
def timed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The language half alone, as one of Qwen2.5-VL, whose positions count seconds."""
    folder = tmp_path_factory.mktemp("timed")
    for path in TINY.glob("*.json"):
        shutil.copy(path, folder)
    config = json.loads((TINY / "config.json").read_text())
    config |= {
        "model_type": "qwen2_5_vl",
        "architectures": ["Qwen2_5_VLForConditionalGeneration"],
        "vision_config": {
            "model_type": "qwen2_5_vl",
            "depth": 2,
            "hidden_size": 128,
            "num_heads": 4,
            "intermediate_size": 256,
            "out_hidden_size": config["text_config"]["hidden_size"],
            "fullatt_block_indexes": [1],
            "window_size": 56,
            "tokens_per_second": 2,
        },
    }
    config["text_config"]["model_type"] = "qwen2_5_vl_text"
    (folder / "config.json").write_text(json.dumps(config))
    tensors = load_file(TINY / "model.safetensors")
    language = {name: value for name, value in tensors.items() if "visual." not in name}
    assert len(language) < len(tensors)
    save_file(language, folder / "model.safetensors", {"format": "pt"})
    return folder


@pytest.fixture(scope="module")
def timed_engine(timed: Path) -> Iterator[Engine]:
    made = Engine(timed, threads=1)
    yield made
    made.close()


def test_seconds_count_and_no_tower_is_needed(timed: Path, timed_engine: Engine) -> None:
    clips = [one for one in PIXELS if isinstance(one, Clip)]
    clips += [Clip(one.frames, rate) for one in clips for rate in (0.4, 1.3)]
    stills = [one for one in PIXELS if not isinstance(one, Clip)]
    clip, *others = Encoder(TINY).encode([*clips, *stills])
    sets = [[clip], *([one] for one in others), [others[-1], clip], [clip, others[0]]]
    items = [WorkItem(one, [Prompt(text, 24) for text in QUESTIONS]) for one in sets]
    right = Generator(timed).generate(items)
    for given, wanted in zip(timed_engine.generate(items), right, strict=True):
        for one, other in zip(given, wanted, strict=True):
            same(one, other)
