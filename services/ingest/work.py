"""Work: one job to the units that land, through fetch, decode, shards and the model."""

from collections.abc import Generator

from pipeline.consume import failed_input
from pipeline.land.batch import Unit
from schemas.errors import InputError, ReelpageError, SetupError, TransientError
from schemas.jobs import Job
from services.ingest.keys import FanOut
from services.ingest.recipe import parse_sampling
from services.ingest.sources import Sources
from services.ingest.units import Delivery, JobUnits, Tools


def read_job(value: bytes) -> Job:
    """A job that can be worked on.

    Raises:
        InputError: `bad_job`.
    """
    job = Job.from_json(value)
    try:
        parse_sampling(job.sample)
    except SetupError as error:
        message = f"job {job.id}: {error.message}"
        raise InputError("bad_job", message) from error
    return job


class Work:
    """Turns jobs into units. Keeps nothing between two calls, so that a crash loses nothing."""

    def __init__(self, sources: Sources, tools: Tools) -> None:
        self._sources, self._tools = sources, tools

    def units(self, delivery: Delivery, first: int) -> Generator[Unit | FanOut]:
        """The job's units from number `first` on, in order; the last one is marked as final.

        Raises:
            TransientError: the next unit cannot be made now; call again with its number.
        """
        with self._sources.open(delivery.job) as source:
            yield from JobUnits(self._tools, delivery, source).units(first)

    def failure(self, delivery: Delivery, first: int, error: ReelpageError) -> Unit:
        """The unit that ends a job whose unit `first` has failed too often."""
        uri = delivery.job.media.uri
        try:
            with self._sources.open(delivery.job) as source:
                return JobUnits(self._tools, delivery, source).failure(first, error, "generate")
        except TransientError as lost:
            source = failed_input(uri, lost)
            return JobUnits(self._tools, delivery, source).failure(first, lost, "consume")
