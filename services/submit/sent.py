"""Sent: which records of the topic a submission became, in 16 bytes a job."""

import hashlib
from array import array
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from schemas.jobs import Job


@dataclass
class Sent:
    """The jobs that the broker has.

    Attributes:
        runs: by partition, first and last offset of records that follow one another.
    """

    runs: dict[int, list[list[int]]] = field(default_factory=dict)
    _jobs: "array[int]" = field(default_factory=lambda: array("Q"))
    _keys: "array[int]" = field(default_factory=lambda: array("Q"))

    def __len__(self) -> int:
        return len(self._jobs)

    def add(self, places: Iterable[tuple[int, int]], jobs: Sequence[tuple[str, Job]]) -> None:
        """Add jobs, each with its key and the partition and offset of its record."""
        for partition, offset in places:
            runs = self.runs.setdefault(partition, [])
            if runs and runs[-1][1] + 1 == offset:
                runs[-1][1] = offset
            else:
                runs.append([offset, offset])
        for key, job in jobs:
            self._jobs.append(_short(job.id))
            self._keys.append(_short(key))

    def landed(self, positions: Mapping[int, int]) -> int:
        """How many have landed, by the first offset of each partition that has not."""
        return sum(
            max(0, min(last + 1, positions.get(partition, 0)) - first)
            for partition, runs in self.runs.items()
            for first, last in runs
        )

    def has_key(self, key: str) -> bool:
        """Whether a job has this key."""
        return _short(key) in self._keys

    def count(self, ids: Collection[str], keys: Collection[str]) -> int:
        """How many have one of these ids or keys."""
        wanted, of_keys = set(map(_short, ids)), set(map(_short, keys))
        pairs = zip(self._jobs, self._keys, strict=True)
        return sum(job in wanted or key in of_keys for job, key in pairs)


def _short(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode(errors="replace")).digest()[:8])
