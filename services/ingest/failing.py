"""Failing: the rows of what could not be indexed, and the letters by which it is tried again."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from pipeline.consume import masked
from pipeline.land.batch import Part
from pipeline.land.protocol import Letter, Marker
from pipeline.land.rows import Row, failure_row
from schemas.errors import InputError, ReelpageError, TransientError
from schemas.jobs import Job
from schemas.shards import PageFailure
from services.ingest.columns import pages_name
from services.ingest.letters import letter, letter_name
from services.ingest.subject import Subject


def failure(
    subject: Subject,
    error: ReelpageError,
    stage: str,
    done: tuple[int, int],
) -> Part:
    """The last part of a job, which says that the rest is lost.

    Args:
        subject: the job.
        error: why.
        stage: where.
        done: parts of the job's span, and pictures in them, that land before this.
    """
    job, columns = subject.delivery.job, subject.columns
    error = _named(subject, error)
    stage = "consume" if isinstance(error, TransientError) else stage
    parts, pictures = done
    markers = columns.markers("failed", parts, {"pictures": pictures}, job.attempt)
    letters = (_letter(subject, job, error, stage, markers),)
    return Part({"failures": [_row(subject, error, stage)]}, "failed", markers, letters=letters)


def lost_pages(subject: Subject, error: ReelpageError, pages: Iterable[int]) -> Part:
    """The last part of a job of pages, which says that these are lost."""
    error = _named(subject, error)
    failed = [PageFailure(0, page, error.code, error.message) for page in sorted(pages)]
    return replace(page_failures(subject, failed), outcome="failed")


def page_failures(subject: Subject, pages: Iterable[PageFailure]) -> Part:
    """Pages that failed while the rest of their document did not: of each a row and a letter.

    Its marker says that a shard may hold it before it has a row.
    """
    lost = Part()
    for page in pages:
        error = InputError(page.code, f"{subject.source.name!r}: {page.message}")
        job = replace(subject.delivery.job, pages=(page.page_no,))
        markers = _page_markers(subject, page.page_no)
        letter = _letter(subject, job, error, "decode", markers, page.page_no)
        row = _row(subject, error, "decode", page.page_no)
        lost = lost.plus(Part({"failures": [row]}, markers=markers, letters=(letter,)))
    return lost


def _page_markers(subject: Subject, page: int) -> tuple[Marker, ...]:
    if not subject.columns.name:
        return ()  # there are damaged ones
    name = pages_name(subject.media_id, subject.recipe)
    return (Marker(name, str(page), "failed", 0, attempt=subject.delivery.job.attempt),)


def _named(subject: Subject, error: ReelpageError) -> ReelpageError:
    """The error with the medium's address in place of a temporary file's, and no secret of it."""
    message = error.message.replace(str(subject.source.path), subject.source.uri)
    return type(error)(error.code, masked(message))


def _row(subject: Subject, error: ReelpageError, stage: str, page_no: int = 0) -> Row:
    job = subject.delivery.job
    return failure_row(
        input_id=subject.media_id,
        uri=subject.medium.uri,
        recipe=subject.recipe.id,
        stage=stage,
        error=error,
        run_id=subject.delivery.run_id,
        attempt=job.attempt,
        page_no=page_no,
        size=subject.source.size,
        sampling=subject.recipe.sampling,
        first_segment=None if job.range is None else job.range.start,
    )


def _letter(
    subject: Subject,
    job: Job,
    error: ReelpageError,
    stage: str,
    markers: Sequence[Marker],
    page_no: int = 0,
) -> Letter:
    delivery = subject.delivery
    first = None if job.range is None else job.range.start
    name = letter_name(subject.media_id, subject.recipe.id, job.attempt, page_no, first)
    columns = [(one.name, one.column) for one in markers]
    media, beside = job.media, tuple(map(masked, job.media.subtitles))
    job = replace(job, media=replace(media, uri=masked(media.uri), subtitles=beside))
    facts = {
        "media_id": subject.media_id,
        "uri": subject.medium.uri,
        "code": error.code,
        "message": error.message,
        "stage": stage,
        "topic": delivery.topic,
        "partition": delivery.partition,
        "offset": delivery.offset,
    }
    return letter(name, delivery.key, job, columns, facts)
