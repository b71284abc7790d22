"""What a model is shown of pictures, pages and clips: no more than the run says, nor it takes."""

from pathlib import Path

import pytest
from PIL import Image

from benchmarks.asking import shard_answers
from pipeline.decode import DecodePlan, Sampling, decode
from pipeline.land.rows import Answer
from pipeline.vlm.clip import Item, item_tokens
from schemas.jobs import SEGMENT, Task
from schemas.shards import Budget, Shard
from services.model.wire import ServedModel
from tests.conftest import SAMPLES, rows, run

PICTURE, CLIP = Task("a", "What?"), Task("b", "What?", unit=SEGMENT)
LARGE = ServedModel("large", "r", 4 * 784, 16384 * 784)
SMALL = ServedModel("small", "r", 4 * 784, 48 * 784)


def shown(path: Path, budget: Budget, model: ServedModel, task: Task = PICTURE) -> int:
    """The most visual tokens of what a model sees of a medium's first part."""
    plan = DecodePlan(Sampling("rate", 1.0), budget=budget)
    shard = next(one for one in decode(path, plan) if isinstance(one, Shard))
    shard = Shard.from_ipc(shard.to_ipc())
    seen: list[Item] = []

    def read(items: list[Item], tasks: list[Task]) -> list[list[Answer]]:
        seen.extend(items)
        return [[Answer(one, "", "stop") for one in tasks] for _ in items]

    shard_answers(shard, [task], read, model)  # type: ignore[arg-type]
    return max(map(item_tokens, seen))


@pytest.fixture(scope="module")
def photograph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("still") / "still.png"
    Image.effect_noise((1800, 1400), 60).save(path)
    return path


@pytest.mark.parametrize("tokens", [16, 512, 2560])
def test_pages_and_stills(photograph: Path, tokens: int) -> None:
    for path in (photograph, SAMPLES / "report.pdf"):
        assert tokens / 2 < shown(path, Budget(page=tokens), LARGE) <= tokens
        assert shown(path, Budget(page=tokens), SMALL) <= min(tokens, 48)


@pytest.mark.parametrize("tokens", [16, 300])
def test_frames(tokens: int) -> None:
    talk = SAMPLES / "talk.mp4"
    assert tokens / 2 < shown(talk, Budget(frame=tokens), LARGE) <= tokens
    assert shown(talk, Budget(page=tokens), LARGE) > tokens


@pytest.mark.parametrize("tokens", [40, 1000])
def test_clips(tokens: int) -> None:
    talk = SAMPLES / "talk.mp4"
    assert tokens / 2 < shown(talk, Budget(clip=tokens), LARGE, CLIP) <= tokens
    assert shown(talk, Budget(frame=4), LARGE, CLIP) > 4


def test_a_run_with_another_budget_stands_beside_the_first(tmp_path: Path) -> None:
    given = ("index", SAMPLES / "phone.png", "--to", tmp_path / "lake", "--tasks", "caption")
    assert run(*given).code == 0
    assert run(*given, "--budget", "page=12").code == 0
    found = rows(tmp_path / "lake", "answers")
    samplings = {row["sampling"].split(" page=")[1].split()[0] for row in found}
    assert samplings == {"2560", "12"}
    refused = run(*given, "--budget", "pages=12")
    assert (refused.code, "--budget" in refused.err) == (2, True)


def test_a_plan_counts_what_a_budget_leaves(tmp_path: Path) -> None:
    given = ("index", SAMPLES, "--to", tmp_path / "lake", "--plan", "--json")
    usual, small = (run(*given, *more).json for more in ((), ("--budget", "frame=8 page=8")))
    assert small["visual_tokens"] < usual["visual_tokens"] / 3
    assert small["frames"] == usual["frames"]
