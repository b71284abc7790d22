"""How training learns: its forward is the library's, growth loses nothing, runs go on."""

import itertools
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torch.multiprocessing.spawn import spawn
from torch.nn import functional
from transformers import Qwen2VLForConditionalGeneration

from training.batches import IGNORED, Batch, Batcher
from training.canvas import Example, Mark, Question, no_labels
from training.curve import HEIGHT, WIDTH, read
from training.forward import Read
from training.grow import grow
from training.heads import FOUND, Heads, pointing
from training.learner import Learner
from training.model import build_model, normalise
from training.peers import Peers
from training.phases import PHASES, Phase
from training.recipe import train_all
from training.run import Run, Settings, Stream, read_state
from training.tokens import build_tokenizer
from training.train import learn

TOKENIZER = build_tokenizer()
SHORT = Phase(groups={"arithmetic": 1}, steps=4, peak_rate=1e-3, last_rate=1e-4, warm_up=2)


def example(frames: int, answer: str) -> Example:
    shape = (56, 84, 3) if frames == 1 else (frames, 56, 84, 3)
    picture = np.random.default_rng(len(answer)).integers(0, 256, shape, dtype=np.uint8)
    labels = no_labels((2, 3)) if frames == 1 else np.stack([no_labels((2, 3))] * (frames // 2))
    question = Question("What happens?", answer)
    return Example(picture, (question,), labels, fps=None if frames == 1 else 2.0)


def library_loss(model: Qwen2VLForConditionalGeneration, batch: Batch, grids: int) -> torch.Tensor:
    values = normalise(batch.patches)
    if grids == 1:
        slots = values.view(*values.shape[:2], 3, 1, 196).expand(-1, -1, 3, 2, 196)
        values = slots.reshape(*values.shape[:2], 1176)
    kind = (
        ("pixel_values", "image_grid_thw")
        if grids == 1
        else (
            "pixel_values_videos",
            "video_grid_thw",
        )
    )
    sizes = torch.tensor([[grids, batch.size[1] * 2, batch.size[2] * 2]] * len(batch.ids))
    inputs: dict[str, Any] = {kind[0]: values.flatten(0, 1), kind[1]: sizes}
    logits = model(input_ids=batch.ids, position_ids=batch.positions, **inputs).logits
    asked = batch.targets != IGNORED
    return functional.cross_entropy(logits[asked], batch.targets[asked])


def test_loss_is_that_of_the_library() -> None:
    torch.manual_seed(0)
    learner = Learner(TOKENIZER, compiled=False)
    for frames in (1, 6):
        examples = [example(frames, answer) for answer in ("nothing", "a red circle")]
        grids = max(1, frames // 2)
        batch = Batcher(TOKENIZER).batch("", random.Random(0), examples, (grids, 2, 3))
        with torch.inference_mode():
            ours = learner.losses(batch, SHORT).answer
            reference = library_loss(learner.model, batch, grids)
        torch.testing.assert_close(ours, reference, rtol=1e-4, atol=1e-4)


def test_questions_on_one_picture_do_not_see_each_other() -> None:
    torch.manual_seed(0)
    learner = Learner(TOKENIZER, compiled=False)
    questions = [Question("What happens?", answer) for answer in ("nothing", "a red circle", "3 s")]

    def loss(*asked: Question) -> tuple[float, int]:
        one = replace(example(6, ""), questions=asked)
        batch = Batcher(TOKENIZER).batch("", random.Random(0), [one], (3, 2, 3))
        with torch.inference_mode():
            answer = learner.losses(batch, SHORT).answer
        assert answer is not None
        count = int((batch.targets != IGNORED).sum())
        return answer.item() * count, count

    alone = [loss(question) for question in questions]
    total, count = loss(*questions)
    assert count == sum(count for _, count in alone)
    assert total == pytest.approx(sum(value for value, _ in alone), rel=1e-4)


def test_heads_that_look_at_the_right_cells_have_no_loss() -> None:
    marks = (Mark(0, 1, (1, 4)), Mark(5, 8, (2,), answer=False))
    one = replace(example(1, ""), questions=(Question("What happens?", "42", marks),))
    batch = Batcher(TOKENIZER).batch("", random.Random(0), [one], (1, 2, 3))
    count, first = batch.ids.shape[1], int(batch.visual[0].nonzero()[0])
    name, answers = sorted(batch.pointers.tolist(), key=lambda pointer: int(pointer[2]))
    assert TOKENIZER.decode(batch.ids[0, name[1]]) == "What happens?"
    assert TOKENIZER.decode(batch.targets[0, answers[1]]) == "4"
    attention = [torch.zeros(1, count, count) for _ in range(6)]
    attention[FOUND[0]][0, name[1], first + 2] = 1
    attention[FOUND[1]][0, answers[1], [first + 1, first + 4]] = 0.5
    read = Read(torch.zeros(1, count, 4), [], attention)
    assert pointing(batch, read).item() == pytest.approx(0, abs=1e-3)
    assert pointing(batch, replace(read, attention=attention[::-1])).item() > 5


def test_a_head_that_knows_each_place_has_no_loss() -> None:
    heads = Heads(36)
    with torch.no_grad():
        heads.place.weight.copy_(20 * torch.eye(36))
    batch = Batcher(TOKENIZER).batch("", random.Random(0), [example(6, "")] * 2, (3, 2, 3))
    state = torch.zeros(*batch.ids.shape, 36)
    for row, tokens in enumerate(batch.visual):
        cells = itertools.product(range(3), range(2), range(3))
        for token, (time, high, wide) in zip(tokens.nonzero().flatten(), cells, strict=True):
            state[row, token, [time, 12 + high, 24 + wide]] = 1
    read = Read(state, [torch.zeros_like(state), state], [])
    assert heads.places(batch, read).item() == pytest.approx(0, abs=1e-2)
    assert heads.places(batch, replace(read, states=[state, state.flip(1)])).item() > 1


def test_a_head_that_knows_where_a_letter_stands_has_no_loss() -> None:
    heads = Heads(38)
    with torch.no_grad():
        heads.target.weight.copy_(20 * torch.eye(38)[:36])
        heads.band.weight.copy_(20 * torch.eye(38)[36:])
    marks = (Mark(0, 1, (4,), band=1), Mark(1, 2, (2, 5)))
    one = replace(example(1, ""), questions=(Question("What happens?", "42", marks),))
    batch = Batcher(TOKENIZER).batch("", random.Random(0), [one], (1, 2, 3))
    (_, letter, *_), (_, thing, *_) = batch.pointers.tolist()
    state = torch.zeros(1, batch.ids.shape[1], 38)
    state[0, letter, [0, 12 + 1, 24 + 1, 37]] = 1
    state[0, thing, [0, 12 + 0, 24 + 2]] = 1
    read = Read(state, [state] * 6, [])
    assert heads.targets(batch, read).item() == pytest.approx(0, abs=1e-2)
    state[0, letter, [36, 37]] = torch.tensor([1.0, 0.0])
    assert heads.targets(batch, read).item() > 5


def _average(number: int, folder: Path) -> None:
    torch.set_num_threads(1)
    weights = [nn.Parameter(torch.zeros(size)) for size in (2, 1, 1)]
    weights[0].grad = torch.tensor([1.0, 2.0]) * (number + 1)
    if number:
        weights[1].grad = torch.ones(1)
    with Peers.meet(number, 2, folder / "meeting") as peers:
        peers.average(weights)
    torch.save([weight.grad for weight in weights], folder / str(number))


@pytest.mark.ci
def test_peers_average_their_gradients(tmp_path: Path) -> None:
    spawn(_average, (tmp_path,), nprocs=2)  # type: ignore[no-untyped-call]
    for number in range(2):
        *used, unused = torch.load(tmp_path / str(number))
        torch.testing.assert_close(used, [torch.tensor([1.5, 3.0]), torch.tensor([0.5])])
        assert unused is None


@pytest.mark.ci
def test_peers_learn_from_the_batches_of_all(tmp_path: Path) -> None:
    phase = replace(SHORT, steps=1)
    settings = Settings(tmp_path / "run", phase, None, seed=1, half=False)
    learn(settings, threads=1, workers=0, peers=2)
    learned = read_state(tmp_path / "run")["model"]

    def distance(numbers: Sequence[int]) -> float:
        """From what one process learns from these peers' batches."""
        run = Run(replace(settings, out=tmp_path / "none"))
        streams = [Stream(TOKENIZER, phase, 1, 0, Peers(number, 2)) for number in numbers]
        losses = [run.learner.losses(next(iter(stream)), phase).total for stream in streams]
        torch.stack(losses).mean().backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(run.learner.parameters(), 1.0)
        run.optimiser.param_groups[0]["lr"] = phase.rate(0)
        run.optimiser.step()
        weights = run.learner.model.state_dict()
        apart = [(weights[name] - learned[name]).abs().flatten() for name in weights]
        return torch.cat(apart).mean().item() / phase.rate(0)

    assert distance([0, 1]) < 0.01
    assert min(distance([0]), distance([1])) > 0.1


def test_a_grown_model_computes_the_same() -> None:
    torch.manual_seed(0)
    old_tokens = {token: id_ for token, id_ in TOKENIZER.get_vocab().items() if id_ < 500}
    large = build_model(TOKENIZER)
    config: Any = large.config
    config.text_config.num_hidden_layers = 4
    config.text_config.intermediate_size = 384
    config.text_config.layer_types = ["full_attention"] * 4
    config.vision_config.depth = 4
    config.vision_config.mlp_ratio = 3
    small = Qwen2VLForConditionalGeneration(config)
    large = build_model(TOKENIZER)
    grow(large, small.state_dict(), old_tokens, TOKENIZER.get_vocab())
    ids = torch.tensor([[5, 60, 7, 300]])
    with torch.inference_mode():
        pixels = torch.randn(8, 1176)
        sizes = torch.tensor([[1, 2, 4]])
        seen = [
            model.model.visual(pixels, grid_thw=sizes).pooler_output for model in (small, large)
        ]
        said = [model(input_ids=ids).logits[..., :500] for model in (small, large)]
    torch.testing.assert_close(*seen)
    torch.testing.assert_close(*said)


@pytest.mark.ci
def test_a_run_that_was_cut_goes_on_as_if_it_had_not_been(tmp_path: Path) -> None:
    def run(name: str, steps: int) -> Run:
        settings = Settings(tmp_path / name, SHORT, None, seed=1, half=False)
        started = Run(settings)
        started.train(0, until=steps)
        return started

    whole = run("whole", 4)
    run("cut", 2)
    again = run("cut", 4)
    assert again.step == whole.step == 4
    for one, other in zip(whole.learner.parameters(), again.learner.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-6)
    assert (tmp_path / "whole" / "checkpoint" / "model.safetensors").exists()


@pytest.mark.ci
def test_the_recipe_runs_what_has_not_ended_and_draws_its_curve(tmp_path: Path) -> None:
    first = Settings(tmp_path, SHORT, None, seed=1, half=False)
    phases = {"tower": replace(SHORT, with_text=False, steps=2), "mixed": replace(SHORT, steps=2)}
    last = train_all(first, phases, workers=0)
    assert last == tmp_path / "mixed"
    written = (last / "state.pt").stat().st_mtime_ns
    assert train_all(first, phases, workers=0) == last
    assert (last / "state.pt").stat().st_mtime_ns == written
    points, ends = read([tmp_path / "tower", last])
    assert ends == [2, 4]
    assert "arithmetic" in points[-1]
    assert "arithmetic" not in points[0]
    with Image.open(tmp_path / "curve.png") as drawn:
        assert drawn.size == (WIDTH, HEIGHT)


def test_rates_rise_and_fall_within_their_bounds() -> None:
    for phase in PHASES.values():
        rates = [phase.rate(step) for step in range(phase.steps)]
        assert max(rates) <= phase.peak_rate
        assert rates[-1] >= phase.last_rate
        assert rates[phase.warm_up :] == sorted(rates[phase.warm_up :], reverse=True)
