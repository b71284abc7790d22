"""What training draws: answers that fit their pictures, and nothing that evaluation holds back."""

import random
import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch

from pipeline.vlm.tools import calls
from samples.typefaces import DEJAVU_SANS
from training import scripts, words
from training.batches import IGNORED, Batcher
from training.canvas import (
    ALPHABET,
    BANDS,
    CHARACTER_LABEL,
    CLEAN,
    COLOURS,
    COLUMNS,
    SHAPE_LABEL,
    SHAPES,
    Example,
    Mark,
    pixels,
)
from training.documents import TITLE
from training.lines import script_line, text_line, text_lines
from training.phases import PHASES
from training.run import Stream
from training.screens import point
from training.sheet import Face, Sheet
from training.table import ABSENT, PARTS
from training.tasks import GROUPS, HOW, TASKS, draw_batch
from training.tokens import build_tokenizer


def drawn(task: str, count: int, *, held_out: bool = False) -> list[Example]:
    sizes = next(group.sizes for group in GROUPS.values() if task in group.tasks)
    return [
        TASKS[task](random.Random(f"{task}{n}"), sizes[n % len(sizes)], HOW, held_out)
        for n in range(count)
    ]


@pytest.mark.parametrize("task", sorted(TASKS))
def test_pictures_have_their_size_and_labels(task: str) -> None:
    for one in drawn(task, 8):
        *time, height, width, channels = one.picture.shape
        assert (height, width) == pixels(one.labels.shape[-3:-1])
        assert channels == 3
        assert one.labels.shape[:-3] == tuple(count // 2 for count in time)
        assert (one.fps is None) is (one.picture.ndim == 3)
        assert one.labels.max() > 0 or task in ("empty", "clip")


def test_labels_name_the_characters_of_a_line() -> None:
    for n in range(60):
        language = scripts.LANGUAGES[n % 11]
        one = script_line(random.Random(n), (2, 6), language, how=CLEAN)
        row = one.labels.reshape(2, -1).max(axis=0)
        seen = "".join(ALPHABET[label - 1] for label in row if 0 < label < SHAPE_LABEL)
        seen = re.sub(r"(.)\1+", r"\1", seen[::-1] if language == "arabic" else seen)
        wanted = re.sub(r"(.)\1+", r"\1", one.answer.replace(" ", ""))
        # narrow letters may fall between two columns
        assert len(seen) >= 0.6 * len(wanted), (seen, wanted)
        assert set(seen) <= set(wanted), (seen, wanted)


def test_lines_that_share_cells_have_their_labels_both() -> None:
    found = []
    for n in range(60):
        one = text_lines(random.Random(n), (2, 8), how=CLEAN)
        bands = one.labels.reshape(2, 8, BANDS, COLUMNS).swapaxes(1, 2).reshape(2 * BANDS, -1)
        shown = {frozenset(band[band > 0].tolist()) for band in bands} - {frozenset()}
        for line in one.answer.split("\n"):
            letters = {CHARACTER_LABEL[letter] for letter in line.replace(" ", "")}
            # narrow letters may fall between two columns
            found.append(any(seen <= letters and len(seen) > len(letters) / 2 for seen in shown))
    assert sum(found) >= 0.95 * len(found)


def test_training_never_shows_held_out_strings() -> None:
    assert not set(words.words(True)) & set(words.words(False))
    random_ = random.Random(0)
    for _ in range(1000):
        assert not any(map(words.is_held_out, words.line(random_, False).split()))
        assert all(map(words.is_held_out, words.line(random_, True).split()))
        language = random_.choice(scripts.LANGUAGES)
        for held_out in (False, True):
            text = scripts.line(random_, language, held_out)
            several = len(text) > 1 if language == "chinese" else " " in text
            assert not several or scripts.is_held_out(text) is held_out


@pytest.mark.parametrize("held_out", [False, True])
def test_held_out_arguments_and_names(held_out: bool) -> None:
    for one in drawn("call", 40, held_out=held_out):
        for call in calls(one.answer):
            (value,) = call.arguments.values()
            assert words.is_held_out(value) is held_out
    names = [one.answer for one in drawn("bars", 20, held_out=held_out)]
    for one in drawn("tap", 20, held_out=held_out) + drawn("page", 20, held_out=held_out):
        for question in one.questions:
            names += re.findall(r"[A-Z][a-z]+", re.sub("^(What|Tap)", "", question.prompt))
    assert len(names) > 100
    assert all(words.is_held_out(name) is held_out for name in names)


@pytest.mark.parametrize("held_out", [False, True])
def test_held_out_sums(held_out: bool) -> None:
    for one in drawn("arithmetic", 20, held_out=held_out):
        for question in one.questions:
            first, sign, second = re.split(r"([+-])", question.answer.partition("=")[0])
            assert words.is_held_out(f"{first}{sign}{second}") is held_out
            assert sign == "-" or words.is_held_out(f"{second}+{first}") is held_out


def test_vocabularies_are_large_enough_and_all_have_tokens() -> None:
    tokenizer = build_tokenizer()
    for language in scripts.LANGUAGES:
        known = scripts.vocabulary(language)
        assert len(known) >= 300, language
        for word in known:
            assert len(tokenizer.encode(word)) == len(word)


def test_lines_have_line_breaks() -> None:
    counts = {text_lines(random.Random(n), (4, 6)).answer.count("\n") for n in range(20)}
    assert counts == {1, 2}
    assert "\n" not in text_line(random.Random(0), (4, 6)).answer


def test_a_tap_is_inside_its_button() -> None:
    for one in drawn("tap", 60):
        if one.box is None:
            assert one.answer == "not shown"
            continue
        found = point(one.answer)
        assert found is not None
        height, width = one.picture.shape[:2]
        left, top, right, bottom = one.box
        assert left < found[0] / 1000 * width < right
        assert top < found[1] / 1000 * height < bottom


def test_a_clip_shows_its_answer_in_its_frames() -> None:
    checked = 0
    for one in drawn("clip", 120):
        assert one.fps is not None
        changes = np.abs(np.diff(one.picture.astype(int), axis=0)).max(axis=(1, 2, 3)) > 60
        first = 1 + int(np.argmax(changes))
        for question in one.questions:
            if question.answer.endswith(" s"):
                assert int(question.answer.removesuffix(" s")) == int(first / one.fps)
                checked += 1
            elif question.answer == "nothing":
                assert not changes.any()
            elif question.answer != "not shown":
                assert changes.any()
    assert checked > 20


def test_sums_are_right() -> None:
    for one in drawn("arithmetic", 30):
        for number, question in enumerate(one.questions):
            done, result = question.answer.split("=")
            numbers = [int(number) for number in re.findall(r"(?:^|-)?\d+", done)]
            assert len(numbers) == 2
            assert question.prompt == (f"What is {done}?" if number else "What is the result?")
            assert int(result) == sum(numbers) >= 0


def test_offered_tools_fit_the_question_or_nothing_is_called() -> None:
    for one in drawn("call", 60):
        assert len(one.tools) == 2
        called = calls(one.answer)
        assert bool(called) is (one.answer != "No tool fits.")
        assert all(any(f'"{call.name}"' in tool for tool in one.tools) for call in called)


@pytest.mark.parametrize("phase", sorted(PHASES))
def test_batches_depend_on_seed_and_step_alone(phase: str) -> None:
    def batch(seed: int, first: int) -> torch.Tensor:
        stream = iter(Stream(build_tokenizer(), PHASES[phase], seed, first))
        for _ in range(2 - first):
            next(stream)
        return next(stream).ids

    assert torch.equal(batch(3, 0), batch(3, 2))
    assert not torch.equal(batch(3, 2), batch(4, 2))


@pytest.mark.parametrize("task", sorted(TASKS))
def test_a_row_is_what_the_pipeline_asks_and_the_answers(task: str) -> None:
    tokenizer = build_tokenizer()
    batcher = Batcher(tokenizer)
    name = next(name for name, group in GROUPS.items() if task in group.tasks)
    size = GROUPS[name].sizes[-1]
    one = TASKS[task](random.Random(5), size, HOW, False)
    batch = batcher.batch(name, random.Random(5), [one], size)
    ids, targets, segments = batch.ids[0], batch.targets[0], batch.segments[0]
    questions = list(dict.fromkeys(one.questions))
    assert segments.max() == len(questions)
    for number, question in enumerate(questions, start=1):
        asked = batcher.ask(replace(one, questions=(question,)), size)
        seen = ((segments == 0) | (segments == number)).nonzero().flatten()
        prompt, rest = seen[: len(asked.ids)], seen[len(asked.ids) :]
        assert ids[prompt].tolist() == asked.ids
        assert torch.equal(batch.positions[:, 0, prompt], asked.positions)
        answer = tokenizer.encode(f"{question.answer}<|im_end|>")
        assert ids[rest].tolist() == answer
        first = int(asked.positions[0, -1]) + 1
        expected = torch.arange(first, first + len(answer)).expand(3, -1)
        assert torch.equal(batch.positions[:, 0, rest], expected)
        wanted = targets[segments == number]
        assert wanted[wanted != IGNORED].tolist() == answer
        assert int(wanted[-1]) == IGNORED


@pytest.mark.parametrize("name", sorted(GROUPS))
def test_a_batch_has_as_many_visual_tokens_as_cells(name: str) -> None:
    batch = draw_batch(Batcher(build_tokenizer()), random.Random(5), name)
    assert int(batch.visual.sum()) == batch.dense.shape[0] * batch.dense.shape[1]


def test_marks_lie_on_the_characters_that_they_speak_of() -> None:
    sheet = Sheet((2, 4), (255, 255, 255))
    face = Face(DEJAVU_SANS, 20)
    marks = sheet.write(30, 33, "ABC", face, (0, 0, 0), at=4)  # 14 pixels each, from 30 on
    assert [(mark.begin, mark.end) for mark in marks] == [(4, 5), (5, 6), (6, 7)]
    assert [mark.cells for mark in marks] == [(5,), (5,), (6,)]
    for n in range(40):
        language = scripts.LANGUAGES[n % 11]
        one = script_line(random.Random(n), (2, 6), language, how=CLEAN)
        (question,) = one.questions
        assert len(question.marks) == len(one.answer)
        assert _letters_found(one, question.answer, question.marks) >= 0.7, one.answer


def _letters_found(one: Example, text: str, marks: Sequence[Mark]) -> float:
    """Share of the marked letters that the labels of the marked cells name."""
    cells = one.labels.reshape(-1, one.labels.shape[-1])
    hits = [
        any(CHARACTER_LABEL[letter] in cells[cell] for cell in mark.cells)
        for mark in marks
        for letter in text[mark.begin : mark.end]
        if letter != " "
    ]
    return sum(hits) / len(hits)


@pytest.mark.parametrize("task", ["tap", "page"])
def test_names_in_prompts_are_marked_where_they_stand(task: str) -> None:
    for one in drawn(task, 30):
        for question in one.questions:
            named = [mark for mark in question.marks if not mark.answer]
            there = question.answer not in ABSENT
            if question.prompt == TITLE:
                assert not named
            else:
                parts = 1 + (" of " in question.prompt)
                assert len(named) == parts - (not there), question
            if named:
                assert _letters_found(one, question.prompt, named) >= 0.6, question
            if task == "page" and there:
                told = [mark for mark in question.marks if mark.answer]
                assert _letters_found(one, question.answer, told) >= 0.6, question


def test_shapes_in_prompts_and_answers_are_marked_where_they_lie() -> None:
    for one in drawn("scene", 40):
        cells = one.labels.reshape(-1, one.labels.shape[-1])
        for question in one.questions:
            if (
                question.prompt.startswith(("Describe", "What is"))
                and question.answer not in ABSENT
            ):
                assert question.marks, question
            for mark in question.marks:
                text = question.answer if mark.answer else question.prompt
                colour, shape = text[mark.begin : mark.end].split()[-2:]
                label = SHAPE_LABEL + list(COLOURS).index(colour) * len(SHAPES)
                assert label + SHAPES.index(shape) in cells[list(mark.cells)], question


def test_every_part_of_the_table_can_be_drawn() -> None:
    for part in PARTS:
        examples = [part.draw(random.Random(f"{part.name}{n}"), n) for n in range(4)]
        there = [one for one in examples if one.answer not in ABSENT]
        for measure in part.measures:
            assert [measure.judge(one, one.answer) for one in there] == [1] * len(there)
            assert [measure.judge(one, "no idea") < 1 for one in there] == [True] * len(there)
