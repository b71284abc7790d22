"""Proof: whether the tables hold what the jobs of a topic asked for, and nothing else."""

import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Final

from pipeline.land.place import Place
from pipeline.land.positions import is_rolled_forward, positions
from pipeline.land.store import forgotten
from pipeline.land.tables import check_version
from pipeline.land.window import LogError, next_offset, seek_to
from pipeline.query.standing import Standing, key_of
from pipeline.query.verify import Problem
from schemas.jobs import SEGMENT, TEXT, Job, Task
from services.ingest.known import found, place_of
from services.inspect.evidence import Asked, Have, Key, how
from services.inspect.lag import app_of
from services.settings import Settings
from services.topic.log import Bounds, open_log

_PATIENCE_S: Final = 10.0
_PAUSE_S: Final = 0.5


def prove(place: Place, settings: Settings) -> list[Problem]:
    """Compare every job before the positions of the tables with their rows.

    Workers may go on meanwhile: positions are read before the tables, and the topic behind them.

    Kinds of problems: `log` (the topic is not the one that was landed from), `unfinished` (a worker
    was killed between the tables, and none has gone on), `gap` (a job has neither rows nor a
    failure, or a prompt of it no answers) and `orphan` (a medium that no job names; looked for
    only where the topic still holds all its records).

    Raises:
        SetupError: `usage`, `broker_refused`, `topic_missing`.
        TransientError: `broker_failed`, `store_failed`.
    """
    with open_log(settings) as log:
        apps = {number: app_of(settings, number) for number in log.numbers}
        known = positions(place, list(apps.values()))
        landed = {number: known[app] for number, app in apps.items()}
        if problems := [*_unsettled(place, apps)]:
            return problems
        have = Have.read(place)
        bounds = log.bounds({number: next_offset(one) for number, one in landed.items()})
        if problems := [*_logs(landed, bounds)]:
            return problems
        asked = [Asked.of(record) for record in log.read(bounds)]
    offsets = {number: next_offset(one) for number, one in landed.items()}
    proof = _Proof(asked, have, place, offsets)
    problems = [*proof.gaps()]
    complete = all(one.start == 0 for one in bounds.values())
    return problems + [*proof.orphans()] * complete


def _unsettled(place: Place, apps: Mapping[int, str]) -> Iterator[Problem]:
    for number, app in apps.items():
        if not _settles(place, app):
            message = f"partition {number}: decided rows are not in all tables; start a worker"
            yield Problem("unfinished", "topic", message)


def _settles(place: Place, app: str) -> bool:
    """Whether all decided rows are in their tables; a worker may be at it."""
    give_up = time.monotonic() + _PATIENCE_S
    while not is_rolled_forward(place, app):
        if time.monotonic() > give_up:
            return False
        time.sleep(_PAUSE_S)
    return True


def _logs(landed: Mapping[int, int | None], bounds: Mapping[int, Bounds]) -> Iterator[Problem]:
    for number, position in landed.items():
        try:
            seek_to(position, bounds[number].start, bounds[number].end)
        except LogError as error:
            yield Problem("log", "topic", f"partition {number}: {error.message}")


def _at(one: Asked) -> str:
    return f"{one.partition}/{one.offset}"


class _Proof:
    def __init__(
        self, asked: list[Asked], have: Have, place: Place, landed: Mapping[int, int]
    ) -> None:
        self._asked, self._have = asked, have
        self._found, self._forgotten = found(place.objects), frozenset(forgotten(place.objects))
        self._landed, self._standing = landed, Standing(place, check_version(place))
        self._ids: defaultdict[str, set[str]] = defaultdict(set)
        self._go_on: set[str] = set()  # jobs with ranges, or with a record that has not landed
        for one in asked:
            if one.job is not None:
                self._ids[one.job.id].add(one.media_id)
                if one.job.range is not None:
                    self._go_on.add(one.job.id.rpartition("/")[0])
                if one.offset >= landed[one.partition]:
                    self._go_on.add(one.job.id)

    def gaps(self) -> Iterator[Problem]:
        for one in self._asked:
            if one.job is not None:
                yield from self._gaps_of(one, one.job)
            elif one.mark not in self._have.failed and one.offset < self._landed[one.partition]:
                yield Problem("gap", "failures", f"{_at(one)}: is no job, and no failure says so")

    def orphans(self) -> Iterator[Problem]:
        jobs = {one.job.id for one in self._asked if one.job}
        uris = {one.job.media.address for one in self._asked if one.job}
        for (media_id, _), (uri, job) in self._have.media.items():
            if job not in jobs and uri not in uris:
                yield Problem("orphan", "media", f"media_id={media_id}: {uri} is in no job")

    def _gaps_of(self, one: Asked, job: Job) -> Iterator[Problem]:
        if job.id in self._go_on:
            return
        key = self._finished(job)
        if key is not None:
            yield from self._unasked(one, job, key)
        elif not self._is_known(job):
            message = f"{_at(one)}: job {job.id}, {job.media.address}: neither rows nor a failure"
            yield Problem("gap", "media", message)

    def _finished(self, job: Job) -> Key | None:
        """The finished medium that a job was about, by what its records say, or its address."""
        keys = [(media_id, how(job)) for media_id in self._media_of(job)]
        finished = next((key for key in keys if key in self._have.media), None)
        if finished is not None or self._is_forgotten(job):
            return finished
        return self._have.by_uri.get((job.media.address, how(job)))

    def _media_of(self, job: Job) -> set[str]:
        """Media that a job was about, by the keys of its records, or by what was found."""
        return {*self._ids[job.id], *self._found[place_of(job.media)]}

    def _is_forgotten(self, job: Job) -> bool:
        return not self._forgotten.isdisjoint({*self._media_of(job), place_of(job.media)})

    def _unasked(self, one: Asked, job: Job, key: Key) -> Iterator[Problem]:
        have = self._have
        if key not in have.pictures or key[0] in have.failed:
            return
        for task in job.tasks:
            if not self._is_asked(key, task):
                message = f"{_at(one)}: job {job.id}, media_id={key[0]}: not asked {task.prompt!r}"
                yield Problem("gap", "answers", message)

    def _is_asked(self, key: Key, task: Task) -> bool:
        """Whether a prompt has its answers.

        A medium without text has no lines, and a document no segments; their markers say so.
        """
        if task != TEXT and task.unit != SEGMENT:
            return (key, task.prompt_id) in self._have.asked
        return self._standing.is_asked(key_of(key[0], self._have.samplings[key]), task.prompt_id)

    def _is_known(self, job: Job) -> bool:
        """Whether anything tells of a job whose medium is not finished under its address."""
        have = self._have
        if job.range is not None and job.id in have.ranges:
            return True  # the others are on their way, or say what is wrong
        has_failed = not self._media_of(job).isdisjoint(have.failed)
        return job.media.address in have.uris or has_failed or self._is_forgotten(job)
