"""Meters: what a worker counts of the parts that it makes and of what lands."""

import time
from typing import Any

from prometheus_client import REGISTRY, CollectorRegistry

from pipeline.land.batch import Part
from pipeline.land.protocol import Batch
from pipeline.land.window import position_of
from services.ingest.board import Board
from services.ingest.meters import Held, Meters
from services.topic.record import Record


def value(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


def record(offset: int, age_s: float = 0.0) -> Record:
    return Record(3, offset, f"medium-{offset}", int((time.time() - age_s) * 1000), b"{}")


def batch(last: int) -> Batch:
    return Batch(app="group/topic/3", before=None, last=last, number=1, rows={})


def test_parts_are_counted_by_what_they_hold() -> None:
    answer = {"task": "caption", "visual_tokens": 300, "prompt_tokens": 320, "output_tokens": 9}
    rows: dict[str, Any] = {"frames": [{}, {}], "answers": [answer, answer]}
    before = {
        kind: value("reelpage_tokens_total", kind=kind) for kind in ("visual", "prompt", "output")
    }
    frames, jobs = (
        value("reelpage_pictures_total", kind="frame"),
        value("reelpage_jobs_total", outcome="indexed"),
    )
    meters = Meters()
    meters.made(record(0), None, Part(rows, pictures=2))
    meters.made(record(0), None, Part(outcome="indexed"))
    for kind, tokens in (("visual", 600), ("prompt", 640), ("output", 18)):
        assert value("reelpage_tokens_total", kind=kind) - before[kind] == tokens
    assert value("reelpage_pictures_total", kind="frame") - frames == 2
    assert value("reelpage_jobs_total", outcome="indexed") - jobs == 1


def test_failures_are_counted_by_code() -> None:
    before = value("reelpage_failures_total", code="corrupt")
    rows = {"failures": [{"code": "corrupt", "message": "m"}]}
    Meters().made(record(0), None, Part(rows, "failed"))
    assert value("reelpage_failures_total", code="corrupt") - before == 1


def test_the_age_of_a_job_is_that_at_its_landing() -> None:
    meters = Meters()
    before = value("reelpage_age_seconds_count"), value("reelpage_age_seconds_sum")
    for offset, age in ((0, 10.0), (1, 20.0), (2, 40.0)):
        meters.made(record(offset, age), None, Part(outcome="indexed"))
    meters.landed(batch(position_of(1, 0, final=True)))
    meters.landed(batch(position_of(1, 0, final=True)))
    count, seconds = value("reelpage_age_seconds_count"), value("reelpage_age_seconds_sum")
    assert count - before[0] == 2
    assert 29.5 < seconds - before[1] < 40
    meters.landed(batch(position_of(2, 4, final=False)))  # its last part has not landed
    assert value("reelpage_age_seconds_count") == count


def test_a_board_says_what_it_holds() -> None:
    registry, board = CollectorRegistry(), Board()
    registry.register(Held(board))
    board.assign(3, 0)
    assert registry.get_sample_value("reelpage_partitions", {"state": "waiting"}) == 1
    board.resumed(3, None)
    (partition,) = board.open()
    partition.reading = True
    board.take(3, [record(0), record(1)])
    partition.check_end(5)
    assert registry.get_sample_value("reelpage_partitions", {"state": "open"}) == 1
    assert registry.get_sample_value("reelpage_lag_jobs", {"partition": "3"}) == 5
    assert registry.get_sample_value("reelpage_held_bytes") == 4
    ticket = board.next_ticket(0.0)
    assert ticket is not None
    board.complete(ticket, 0, Part(outcome="skipped").sealed())
    board.landed(partition, position_of(0, 0, final=True))
    assert registry.get_sample_value("reelpage_lag_jobs", {"partition": "3"}) == 4
    assert registry.get_sample_value("reelpage_held_bytes") == 2
    board.revoke([3])
    assert registry.get_sample_value("reelpage_lag_jobs", {"partition": "3"}) is None
