"""Work: one job from its log, in the hands of a slot."""

from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Protocol

from pipeline.consume import Input, failed_input
from pipeline.land.batch import Part
from pipeline.land.store import is_forgotten
from schemas.errors import InputError, ReelpageError, SetupError, TransientError
from schemas.jobs import Job
from services.ingest.failing import failure, lost_pages
from services.ingest.keys import Claim, FanOut, key_of
from services.ingest.known import known_as, remember
from services.ingest.mending import PageParts
from services.ingest.parts import JobParts
from services.ingest.recipe import parse_plan
from services.ingest.subject import Delivery, Subject, Tools


class Source(Protocol):
    """Where media come from."""

    def open(self, job: Job, known_as: str = "") -> AbstractContextManager[Input]:
        """The medium as a local file for as long as the block runs, or as its error.

        Args:
            job: names the medium.
            known_as: its id, if that is known: then it need not be read to find out.

        Raises:
            TransientError: a later attempt may succeed.
        """


def read_job(value: bytes) -> Job:
    """A job that can be worked on.

    Raises:
        InputError: `bad_job`.
    """
    job = Job.from_json(value)
    try:
        parse_plan(job.sample)
    except SetupError as error:
        raise InputError("bad_job", error.message) from error
    return job


class Work:
    """One attempt at a job. What it did not give has left nothing behind that counts."""

    def __init__(
        self,
        delivery: Delivery,
        source: Source,
        tools: Tools,
        has_read: Callable[[], None] = lambda: None,
    ) -> None:
        """Nothing is opened yet; `has_read` is called once the medium is no longer needed."""
        self._delivery, self._source, self._tools = delivery, source, tools
        self._has_read = has_read
        self._subject: Subject | None = None
        self._at: JobParts | PageParts | None = None

    def parts(self) -> Generator[Part | FanOut]:
        """All that is left to do: nothing, a failure, other jobs, or parts of the medium.

        Raises:
            TransientError: the next part cannot be made now.
        """
        self._tools.answerer.read_model()  # work that another model has done is not done
        with ExitStack() as opened:
            opened.callback(self._has_read)
            known = self._known()
            if known is not None and (done := self._without_medium(known)):
                yield done
                return
            source = opened.enter_context(
                self._source.open(self._delivery.job, known.media_id if known else "")
            )
            subject = self._subject = Subject.of(self._delivery, source, self._tools)
            if known is None and source.error is None:
                self._remember(subject)
            if done := self._without_medium(subject):
                yield done
            elif source.error is not None:
                yield _lost(subject, source.error)
            else:
                self._at = (
                    PageParts(subject, self._tools)
                    if self._delivery.job.pages
                    else JobParts(subject, self._tools, opened.close)
                )
                yield from self._at.parts()

    def _known(self) -> Subject | None:
        """What the job is about, if its medium is known without being fetched."""
        media = self._delivery.job.media
        media_id = known_as(self._tools.objects, media)
        if media_id is None:
            return None
        source = Input(media.address, Path(media.uri), media_id, 0)
        return Subject.of(self._delivery, source, self._tools)

    def _without_medium(self, subject: Subject) -> Part | FanOut | None:
        """What ends a job that has no need of its medium: it is done, or belongs elsewhere."""
        if subject.columns.known_failure:
            return Part(outcome="known_failure")
        if not subject.columns.missing:
            return Part(outcome="skipped")
        if self._is_forgotten(subject):
            return self._elsewhere(subject, _own) or Part(outcome="skipped")
        return self._elsewhere(subject, self._tools.claim)

    def _elsewhere(self, subject: Subject, claim: Claim) -> FanOut | None:
        """The job under the key that its medium is worked on under, if it came under another."""
        job = self._delivery.job
        key = key_of(job, subject.media_id, claim, self._delivery.key)
        return None if key == self._delivery.key else FanOut(((key, job),))

    def _remember(self, subject: Subject) -> None:
        """Keep what was found at an address whose sender could not know."""
        job, key = self._delivery.job, self._delivery.key.partition("/")[0]  # without the range
        is_told = job.chunk is not None or key == subject.media_id
        if not is_told and not self._is_forgotten(subject):
            remember(self._tools.objects, job.media, subject.media_id)

    def failure(self, error: ReelpageError) -> Part | FanOut:
        """What ends the job behind the last part that was given.

        The medium is not opened for it again: what failed would fail again.

        Raises:
            TransientError: what has been recorded of the medium cannot be read now.
        """
        if self._at is not None:
            return self._at.failure(error)
        subject = self._subject or self._out_of_reach(error)
        if subject.columns.known_failure:
            return Part(outcome="known_failure")
        if self._delivery.job.range is None:  # else it is where all work on the range is done
            return self._elsewhere(subject, self._tools.claim) or _lost(subject, error)
        return _lost(subject, error)

    def _out_of_reach(self, error: ReelpageError) -> Subject:
        """What is known of a medium that cannot be had; its markers, unless they are damaged."""
        source = failed_input(self._delivery.job.media.address, error)
        try:
            return Subject.of(self._delivery, source, self._tools)
        except TransientError:
            raise
        except Exception:  # noqa: BLE001 - it may be what has failed
            return Subject.unread(self._delivery, source, self._tools)

    def _is_forgotten(self, subject: Subject) -> bool:
        return is_forgotten(self._tools.objects, subject.media_id)


def _own(media_id: str, _: str) -> str:
    """Nothing is claimed of what is forgotten: its id alone stays, also as the key of a record."""
    return media_id


def _lost(subject: Subject, error: ReelpageError) -> Part:
    """The last part of a job whose medium cannot be had."""
    job, columns = subject.delivery.job, subject.columns
    if not job.pages:
        return failure(subject, error, "consume", columns.done)
    pages = [int(column.name) for column in columns.missing] if columns.name else job.pages
    return lost_pages(subject, error, pages)
