"""What would end vLLM, or be answered wrongly, is refused before it is there."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.generate import Engine, Parameters, Prompt, WorkItem
from pipeline.generate.core import MOST_VISUAL
from schemas.errors import InputError, SetupError
from schemas.features import Features
from tests.engine.conftest import same
from tests.vlm.models import Model
from training.evaluate import TINY

pytestmark = pytest.mark.vllm

WIDTH = 192
ASKED = Prompt("Read the text.", 8)


def features(t: int, h: int, w: int, width: int = WIDTH, seconds: float | None = None) -> Features:
    tokens = np.zeros((t * h * w // 4, width), np.float32)
    return Features(tokens, (t, h, w), f"{t} {h} {w} {width}", seconds)


def test_what_vllm_would_die_of_is_refused(engine: Engine, tiny: Model) -> None:
    large = features(3, 150, 150, seconds=1.0)
    assert MOST_VISUAL < len(large.tokens) < 32768
    cases = [
        (features(1, 8, 8, WIDTH + 64), ASKED, "features_invalid", "the model's is 192"),
        (features(1, 1, 4), ASKED, "features_invalid", "no multiples of 2"),
        (large, ASKED, "too_large", "show fewer frames"),
        (features(1, 8, 8), Prompt("?", 40000), "too_large", "exceed"),
        (features(1, 8, 8), Prompt("<|image_pad|>"), "bad_job", "control token"),
    ]
    for given, prompt, code, words in cases:
        with pytest.raises(InputError, match=words) as caught:
            engine.submit([given], prompt)
        assert caught.value.code == code
    with pytest.raises(InputError, match="no mask"):
        engine.submit([], ASKED, Parameters(lambda _, logits: logits))
    engine.check()
    items = [WorkItem(tiny.features(0), [ASKED])]
    same(engine.generate(items)[0][0], tiny.generator.generate(items)[0][0])


def test_the_largest_clip_has_room(engine: Engine, tiny: Model) -> None:
    clip = features(64, 32, 32, seconds=0.5)
    assert len(clip.tokens) == MOST_VISUAL
    noise = np.random.default_rng(0).normal(size=clip.tokens.shape).astype(np.float32)
    items = [WorkItem([replace(clip, tokens=noise)], [ASKED])]
    same(engine.generate(items)[0][0], tiny.generator.generate(items)[0][0])


def test_another_vllm_or_checkpoint_is_a_clear_line() -> None:
    with pytest.raises(SetupError, match="made for 'cpu', not for 'cuda'") as caught:
        Engine(TINY, device="cuda")
    assert caught.value.code == "device_missing"
