"""The parts of the graph that need no Ray."""

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from ray.serve.schema import ServeDeploySchema

from pipeline.land.rows import Answer
from pipeline.vlm.clip import Item, Picture, item_tokens
from schemas.errors import InputError, SetupError, TransientError
from schemas.features import Features
from schemas.jobs import Task
from services.graph.application import _application, _stage_options, _stages
from services.graph.batches import Batches
from services.graph.cluster import check_config, deployment_options
from services.graph.options import GraphOptions
from services.graph.packs import PACK_TOKENS, packs, visual_tokens
from services.graph.scaling import SIGNAL, Waiting
from services.graph.stages import DecodeStage, EncodeStage, ReadStage, joined
from services.model.client import GraphClient
from services.settings import Settings
from tests.graph.conftest import OF_SEGMENTS, TASKS, Lake, compared


def unexpected() -> None:
    pytest.fail("the model is not broken")


@pytest.mark.parametrize("colocated", [False, True])
@pytest.mark.parametrize("tasks", [TASKS, OF_SEGMENTS], ids=["pictures", "clips"])
def test_stages_together_and_apart_say_what_the_reader_says(
    lake: Lake, colocated: bool, tasks: Sequence[Task]
) -> None:
    directory = lake.facts.directory

    async def answers() -> list[Any]:
        if colocated:
            both = ReadStage(directory, "cpu")
            calls = [both.read(items, tasks) for items in shown]
        else:
            encoder, decoder = EncodeStage(directory, "cpu"), DecodeStage(directory, "cpu")

            async def read(items: Sequence[Item]) -> list[list[Answer]]:
                return await decoder.answer(await encoder.encode(items), tasks)

            calls = [read(items) for items in shown]
        return await asyncio.gather(*calls)

    shown: list[Sequence[Item]] = []
    names = [
        name
        for name, shard in lake.shards.items()
        if not all(shard.rows.column("is_blank").to_pylist())
    ]
    names = names[:3] if tasks == OF_SEGMENTS else names[-3:]
    for name in names:
        lake.ask(name, tasks, lambda some, _: shown.append(some) or [[]] * len(some))
    for name, given in zip(names, asyncio.run(answers()), strict=True):
        rows = lake.expected(name, tasks)
        wanted = [row for row in rows if row[0].finish_reason != "blank" and row[0].same_as is None]
        assert compared(given) == wanted


def test_damaged_features_cost_their_own_question(lake: Lake) -> None:
    directory = lake.facts.directory
    picture = np.full((56, 56, 3), 255, np.uint8)

    async def run() -> list[Any]:
        decoder = DecodeStage(directory, "cpu")
        (good,) = await EncodeStage(directory, "cpu").encode([picture])
        narrow = Features(good.tokens[:, :8], good.grid, "narrow")
        empty = Features(np.full_like(good.tokens, np.nan), good.grid, "empty")
        unlike = replace(good)
        object.__setattr__(unlike, "grid", (1, 2, 200))  # what no check of a message lets through
        await decoder.answer([good], TASKS[:1])
        asked = [decoder.answer([one], TASKS[:1]) for one in (good, narrow, empty, unlike, good)]
        given = await asyncio.gather(*asked, return_exceptions=True)
        decoder.queue.check()
        return given

    good, narrow, _, unlike, again = asyncio.run(run())
    assert compared(good) == compared(again)
    assert isinstance(narrow, InputError)
    assert isinstance(unlike, InputError)


def test_a_broken_encoder_is_not_hidden_by_what_it_remembers(lake: Lake) -> None:
    """What tells whose fault a failure is are pictures of the same size that it has never seen."""
    asked: list[Sequence[Item]] = []

    async def run() -> None:
        queue = EncodeStage(lake.facts.directory, "cpu").queue
        alike = queue._blame._alike
        white = [np.full((56, 56, 3), 255, np.uint8)]
        for _ in range(2):
            asked.append(alike(white))
            await queue.submit(asked[-1])

    asyncio.run(run())
    first, second = (cast("Picture", items[0]) for items in asked)
    assert first.shape == second.shape == (56, 56, 3)
    assert (first != second).any()


def test_batches_are_bounded_by_cost_in_order_and_what_is_larger_goes_alone() -> None:
    seen: list[list[int]] = []
    go = threading.Event()

    def work(items: list[int]) -> list[int]:
        go.wait()
        seen.append(items)
        return [-item for item in items]

    async def run() -> list[int]:
        batches = Batches(work, lambda item: item, 10, abs, unexpected)
        calls = [asyncio.create_task(batches.submit(item)) for item in (1, 6, 4, 5, 30, 2, 3)]
        await asyncio.sleep(0.05)
        assert batches.waiting == 51
        go.set()
        results = await asyncio.gather(*calls)
        assert batches.waiting == 0
        return results

    assert asyncio.run(run()) == [-1, -6, -4, -5, -30, -2, -3]
    assert seen == [[1], [6, 4], [5], [30], [2, 3]] or seen == [[1, 6], [4, 5], [30], [2, 3]]


def test_an_item_fails_alone_and_its_neighbours_do_not() -> None:
    """However many of them come in a row, and whatever they raise."""
    raised: dict[int, Exception] = {
        -1: InputError("bad_job", "negative"),
        -2: ValueError("a shape\nthat cannot be"),
        -3: MemoryError(),
        -4: RuntimeError("CUDA out of memory"),
        -5: StopIteration(),
    }

    def work(items: list[int]) -> list[int]:
        for item in items:
            if item in raised:
                raise raised[item]
        return items if -6 not in items else items[1:]

    async def run() -> None:
        batches = Batches(work, lambda _: 1, 100, abs, unexpected)
        assert await batches.submit(0) == 0
        for _ in range(3):
            items = [1, -1, -2, -3, 2, -4, -5, -6, 3]
            given = await asyncio.gather(*map(batches.submit, items), return_exceptions=True)
            assert [one for one in given if isinstance(one, int)] == [1, 2, 3]
            failed = [one for one in given if isinstance(one, InputError)]
            assert [one.code for one in failed] == [
                *("bad_job", "model_failed", "too_large", "too_large"),
                *("model_failed", "model_failed"),
            ]
            assert all(len(one.message.splitlines()) == 1 for one in failed)
            batches.check()
        assert batches.waiting == 0

    asyncio.run(run())


def test_a_model_that_fails_on_what_it_could_do_is_broken() -> None:
    """Also one that remembers what it has done."""
    dead: list[str] = []
    alive, known = [True], set[int]()

    def work(items: list[int]) -> list[int]:
        alive[0] &= min(items) >= 0
        if not alive[0] and not known.issuperset(items):
            message = "device-side assert"
            raise RuntimeError(message)
        known.update(items)
        return items

    async def run() -> None:
        batches = Batches(
            work, lambda _: 1, 100, lambda item: item + 1, lambda: dead.append("dead")
        )
        assert await batches.submit(1) == 1
        with pytest.raises(RuntimeError, match="assert"):
            await batches.submit(-1)
        assert dead == ["dead"]

    asyncio.run(run())


def test_nothing_waits_for_what_takes_longer() -> None:
    """The first one ends only once the second has."""
    ended = threading.Event()

    def work(item: int) -> int:
        if item == 1:
            assert ended.wait(60)
        else:
            ended.set()
        return -item

    async def run() -> list[int]:
        return await asyncio.gather(*map(joined(work, abs, abs).submit, [1, 2]))

    assert asyncio.run(run()) == [-1, -2]


def test_what_fails_beside_others_fails_alone() -> None:
    def work(item: int) -> int:
        if item < 0:
            message = "a shape\nthat cannot be"
            raise ValueError(message)
        return item

    async def run() -> list[Any]:
        flow = joined(work, abs, abs)
        assert await flow.submit(3) == 3
        given = await asyncio.gather(*map(flow.submit, [1, -1, 2]), return_exceptions=True)
        flow.check()
        assert flow.waiting == 0
        return given

    first, failed, last = asyncio.run(run())
    assert (first, failed.code, last) == (1, "model_failed", 2)


def test_what_failed_beside_others_is_done_again_alone() -> None:
    inside: set[int] = set()
    beside: list[set[int]] = []

    def work(item: int) -> int:
        inside.add(item)
        try:
            time.sleep(0.05)
            if item == 1:
                beside.append(set(inside))
                if len(beside) == 1:
                    raise MemoryError
            return item
        finally:
            inside.discard(item)

    async def run() -> list[int]:
        flow = joined(work, abs, abs)
        return await asyncio.gather(*map(flow.submit, range(1, 30)))

    assert asyncio.run(run()) == list(range(1, 30))
    assert beside[1:] == [{1}]


def test_a_model_that_never_worked_is_noticed() -> None:
    def work(_: list[int]) -> list[int]:
        raise MemoryError

    async def run() -> None:
        batches = Batches(work, lambda _: 1, 100, abs, unexpected)
        for _ in range(3):
            batches.check()
            with pytest.raises(MemoryError):
                await batches.submit(100)
        with pytest.raises(RuntimeError, match="failed"):
            batches.check()

    asyncio.run(run())


def test_packs_keep_the_order_and_the_bound(lake: Lake) -> None:
    sizes = [(280, 280), (1400, 1400), (2800, 2800), (28, 28), (28, 56)]
    pictures = [np.zeros((*size, 3), np.uint8) for size in sizes]
    cut = list(packs(pictures, item_tokens))
    assert [picture.shape for pack in cut for picture in pack] == [(*s, 3) for s in sizes]
    assert all(len(pack) == 1 or visual_tokens(pack) <= PACK_TOKENS for pack in cut)
    assert [len(pack) for pack in cut] == [2, 1, 2]


@dataclass
class Situation:
    current_num_replicas: int = 2
    target_num_replicas: int = 2
    total_running_requests: float = 4
    total_queued_requests: float = 0
    aggregated_metrics: dict[str, dict[Any, float]] | None = field(default_factory=dict)


def test_replicas_follow_the_tokens_that_wait() -> None:
    policy = Waiting(1000)
    assert policy(Situation())[0] == 2  # nothing is known yet
    reported = {SIGNAL: {"a": 3000.0, "b": 500.0}}
    assert policy(Situation(aggregated_metrics=reported))[0] == 3.5
    queued = Situation(aggregated_metrics=reported, total_queued_requests=4)
    assert policy(queued)[0] == 7
    assert policy(Situation(aggregated_metrics={SIGNAL: {"a": 0.0}}))[0] == 0


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"encodr": {}}, "args: no such option 'encodr'; did you mean encoder?"),
        (
            {"encoder": {"num_gpus": 1}},
            "args.encoder: no such option 'num_gpus'; did you mean gpus",
        ),
        ({"encoder": {"gpus": "1"}}, "args.encoder.gpus: '1' is no float"),
        ({"encoder": {"min_replicas": True}}, "is no int"),
        ({"decoder": {"min_replicas": 3, "max_replicas": 2}}, "args.decoder: max_replicas"),
        ({"encoder": 2}, "args.encoder: 2 is no mapping"),
        ({"admitted": 0}, "admitted"),
        ({"encoder": {"resources": 1}}, "args.encoder.resources: 1 is no mapping"),
        ({"encoder": {"resources": {"encoder": "1"}}}, "args.encoder.resources.encoder: '1' is no"),
        ({"encoder": {"resources": {"encoder": 0}}}, "args.encoder.resources: amounts"),
    ],
)
def test_options_are_strict(given: dict[str, Any], said: str) -> None:
    with pytest.raises(SetupError) as caught:
        GraphOptions.from_mapping(given)
    assert said in caught.value.message


def test_options_are_read() -> None:
    given = {"encoder": {"gpus": 0.25, "min_replicas": 0, "max_replicas": 4}, "colocate": True}
    options = GraphOptions.from_mapping(given)
    assert (options.encoder.gpus, options.encoder.max_replicas, options.colocate) == (0.25, 4, True)


def test_a_stage_is_pinned_by_what_few_hosts_offer() -> None:
    options = GraphOptions.from_mapping({"encoder": {"resources": {"encoder": 1}}})
    encoder, decoder = (_stage_options(stage, 1.0) for stage in _stages(options))
    assert encoder["ray_actor_options"]["resources"] == {"encoder": 1}
    assert decoder["ray_actor_options"]["resources"] == {}


@pytest.mark.parametrize("colocate", [False, True])
def test_deployments_have_the_names_that_options_say(colocate: bool) -> None:
    options = GraphOptions(colocate=colocate)
    found = _application(options, Settings(), Settings(lake="/nowhere"))
    names = {one.name for one in _bound(found._bound_deployment)}
    assert names == set(options.deployments)


def _bound(one: Any) -> Iterator[Any]:  # noqa: ANN401 - Serve's
    """A bound deployment and those that it is given."""
    yield one
    for given in (*one.init_args, *one.init_kwargs.values()):
        for inner in given if isinstance(given, list) else [given]:
            if hasattr(inner, "_bound_deployment"):
                yield from _bound(inner._bound_deployment)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"ray_actor_options": {"num_gpu": 1}}, "did you mean num_gpus?"),
        ({"autoscaling_config": {"min_replica": 1}}, "did you mean min_replicas?"),
        ({"max_ongoing_request": 1}, "did you mean max_ongoing_requests?"),
    ],
)
def test_what_serve_would_ignore_is_an_error(options: dict[str, Any], said: str) -> None:
    config = {"applications": [{"import_path": "a:b", "deployments": [{"name": "E", **options}]}]}
    ServeDeploySchema(**config)  # the reason for our own check
    with pytest.raises(SetupError, match="no such option") as caught:
        check_config(config)
    assert said in caught.value.message
    with pytest.raises(SetupError, match="no such option"):
        deployment_options(name="E", **options)


def test_a_worker_imports_neither_ray_nor_torch() -> None:
    script = "import services.ingest.build, sys; print({'ray', 'torch'} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"


def test_the_client_gives_up_at_its_deadline() -> None:
    started = time.monotonic()
    with pytest.raises(TransientError) as caught:
        GraphClient("http://127.0.0.1:9", deadline_s=1.0).answers("x", [Task("a", "b")], "r")
    assert caught.value.code == "graph_failed"
    assert time.monotonic() - started < 3


def test_the_client_wants_an_address() -> None:
    with pytest.raises(SetupError):
        GraphClient(str(Path.cwd()))
