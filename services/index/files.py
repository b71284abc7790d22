"""Files: the inputs of a run as jobs with their media at hand, one at a time."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from pipeline.consume import (
    Input,
    failed_input,
    find_files,
    is_archive,
    open_input,
    with_subtitles,
)
from schemas.errors import ReelpageError
from schemas.jobs import Job, MediaReference
from services.ingest.archives import members
from services.ingest.fetch import is_url
from services.ingest.sources import Sources, address, referred

Given = tuple[Job, Input]
"""A job and its medium, which may be its error."""


def found(arguments: Iterable[str], ignored: Counter[str]) -> Iterator[MediaReference | Input]:
    """Media at paths, in folders and archives, and URLs, in a stable order.

    A folder without any is an input of its own.

    Args:
        arguments: of the command.
        ignored: see `find_files`.
    """
    for argument in arguments:
        if is_url(argument):
            yield MediaReference(argument)
            continue
        for one in find_files([Path(argument)], ignored):
            if isinstance(one, Input):
                yield one
            elif is_archive(one):
                yield from members(one, address(one), ignored)
            else:
                yield referred(one)


def opened(job: Job, sources: Sources, target: Path) -> Input:
    """The medium of a job; never raises for one that cannot be had."""
    try:
        path = sources.local(job, target)
        texts = sources.subtitles(job, target.with_suffix(".subtitles"))
    except ReelpageError as error:
        return failed_input(job.media.address, error)
    source = replace(open_input(path, job.media.address), is_temporary=path == target)
    return with_subtitles(source, texts)
