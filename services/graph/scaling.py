"""Scaling: how many replicas a stage of the graph needs, by what waits for it."""

from typing import Any, Final, Protocol

SIGNAL: Final = "waiting"
"""What a replica reports: cost of all that is queued or running in it."""


class Situation(Protocol):
    """The part of Serve's `AutoscalingContext` that is looked at."""

    current_num_replicas: int
    target_num_replicas: int

    @property
    def total_running_requests(self) -> float:
        """Requests in the replicas."""

    @property
    def total_queued_requests(self) -> float:
        """Requests that no replica has taken yet."""

    @property
    def aggregated_metrics(self) -> dict[str, dict[Any, float]] | None:
        """What the replicas reported, by name and replica."""


class Waiting:
    """As many replicas as it takes for each to have no more than its share waiting.

    Serve keeps the number within its bounds and waits out its delays; from none to one replica
    it goes by itself.
    """

    def __init__(self, share: int) -> None:
        self._share = share

    def __call__(self, situation: Situation) -> tuple[float, dict[str, Any]]:
        """Number of replicas, and no state."""
        reported = (situation.aggregated_metrics or {}).get(SIGNAL, {})
        if not reported:
            return situation.target_num_replicas, {}
        cost = sum(reported.values())
        running = situation.total_running_requests
        if running:  # what waits outside the replicas is taken to be like what is inside
            cost *= 1 + situation.total_queued_requests / running
        return cost / self._share, {}
