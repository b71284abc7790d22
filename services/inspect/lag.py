"""Lag: how far the stream is behind its topic, by the positions in the tables."""

from dataclasses import asdict, dataclass
from typing import Any, Final

from pipeline.land.place import Place
from pipeline.land.positions import positions, progress
from pipeline.land.window import next_offset
from services.settings import Settings
from services.storage.places import open_place
from services.topic.log import open_log

WINDOW_S: Final = 300.0
"""The rate is that of so many seconds."""


@dataclass(frozen=True)
class PartitionLag:
    """One partition.

    Attributes:
        partition: its number.
        landed: jobs before this offset are in the tables to their end.
        end: offset behind the last job of the topic.
    """

    partition: int
    landed: int
    end: int

    @property
    def lag(self) -> int:
        """Jobs that have not landed; negative if another log was landed from."""
        return self.end - self.landed


@dataclass(frozen=True)
class Lag:
    """The stream's state.

    Attributes:
        partitions: each with its lag.
        rate: jobs a second that landed in the last minutes.
    """

    partitions: tuple[PartitionLag, ...]
    rate: float

    @property
    def total(self) -> int:
        """Jobs that have not landed."""
        return sum(max(one.lag, 0) for one in self.partitions)

    @property
    def eta_s(self) -> float | None:
        """Seconds until all has landed at this rate; None if nothing moves."""
        if not self.total:
            return 0.0
        return self.total / self.rate if self.rate else None

    def to_json(self) -> dict[str, Any]:
        """JSON values, with what follows from the attributes."""
        return {
            "partitions": [asdict(one) | {"lag": one.lag} for one in self.partitions],
            "lag": self.total,
            "jobs_per_s": self.rate,
            "eta_s": self.eta_s,
        }


def lag(place: Place, settings: Settings) -> Lag:
    """Compare the ends of the topic's partitions with what has landed.

    Raises:
        SetupError: `usage`, `broker_refused`, `topic_missing`.
        TransientError: `broker_failed`, `store_failed`.
    """
    with open_log(settings) as log:
        apps = {number: app_of(settings, number) for number in log.numbers}
        known = positions(place, list(apps.values()))
        ends = log.bounds({number: next_offset(known[app]) for number, app in apps.items()})
        # Behind the ends: what lands in between makes the lag smaller and never negative.
        seen = progress(place, list(apps.values()), WINDOW_S)
    done = sum(
        next_offset(seen.now[app], ends[number].start)
        - next_offset(seen.before[app], ends[number].start)
        for number, app in apps.items()
    )
    found = tuple(
        PartitionLag(number, next_offset(seen.now[app], ends[number].start), ends[number].end)
        for number, app in apps.items()
    )
    return Lag(found, max(done, 0) / seen.seconds)


def app_of(settings: Settings, number: int) -> str:
    """Application id of a partition's rows."""
    return f"{settings.group}/{settings.topic}/{number}"


def is_stream(place: Place, settings: Settings) -> bool:
    """Whether a lake is the one that the workers of these settings land in."""
    if not settings.kafka:
        return False
    return not settings.lake or open_place(settings.lake, settings).uri == place.uri
