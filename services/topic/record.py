"""Record: one entry of a log of jobs, whatever keeps the log."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Record:
    """One record of a partition."""

    partition: int
    offset: int
    key: str
    timestamp: int
    value: bytes

    @property
    def mark(self) -> str:
        """What tells this record from one of another log."""
        return f"{self.key}@{self.timestamp}"
