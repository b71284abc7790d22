"""Serving: how many replicas Ray Serve gives a deployment that has a policy of its own.

The rules are those of Ray 2.60: `ray/serve/autoscaling_policy.py` (`_apply_autoscaling_config`,
`_apply_default_params`, `_apply_delay_logic`), the bounds of `_private/autoscaling_state.py`, and
the mean of its `_merge_and_aggregate_timeseries`. Ray itself is not imported.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final

from services.graph.scaling import SIGNAL, Situation

LOOK_BACK_S: Final = 30.0
PUSH_S: Final = 10.0
"""Between two reports of a replica."""
LOOK_S: Final = 5.0
"""Between two decisions; Serve's loop turns every 0.1 s, on reports that are as old."""
_LEAST_S: Final = 1e-3
_EPSILON_S: Final = 1e-6

Policy = Callable[[Situation], tuple[float, dict[str, Any]]]


@dataclass(frozen=True)
class Bounds:
    """`autoscaling_config` of a deployment, as far as it is used.

    Attributes:
        fewest: replicas.
        most: replicas.
        up_delay_s: for so long more must have been wanted.
        down_delay_s: for so long fewer must have been.
        zero_delay_s: the same for the last one.
    """

    fewest: int
    most: int
    up_delay_s: float = 30.0
    down_delay_s: float = 600.0
    zero_delay_s: float = 600.0


@dataclass
class Seen:
    """What a policy is shown: `services.graph.scaling.Situation`.

    Attributes:
        current_num_replicas: that run.
        target_num_replicas: that there should be.
        total_running_requests: in replicas.
        total_queued_requests: that no replica has.
        aggregated_metrics: what replicas reported.
    """

    current_num_replicas: int
    target_num_replicas: int
    total_running_requests: float
    total_queued_requests: float
    aggregated_metrics: dict[str, dict[Any, float]]


def seen(current: int, target: int, queued: float, reports: Sequence[tuple[float, float]]) -> Seen:
    """What there is to see.

    Args:
        current: replicas that run.
        target: replicas that there should be.
        queued: requests that no replica has.
        reports: requests of each replica that has reported, and their cost.
    """
    costs = {number: cost for number, (_, cost) in enumerate(reports)}
    running = sum(requests for requests, _ in reports)
    return Seen(current, target, running, queued, {SIGNAL: costs} if costs else {})


@dataclass
class Autoscaler:
    """The rules around a policy, with what they remember.

    Attributes:
        since: when the present wish was first had, in seconds.
        direction: of that wish: 1 for more, -1 for fewer, 0 for none.
    """

    bounds: Bounds
    policy: Policy
    since: float | None = None
    direction: int = 0

    def decide(self, now: float, shown: Seen) -> int:
        """Replicas that there should be."""
        requests = shown.total_running_requests + shown.total_queued_requests
        if not shown.current_num_replicas and requests > 0:
            return self._bounded(max(1, shown.target_num_replicas))
        wish = _whole(shown.current_num_replicas, self.policy(shown)[0])
        if not shown.current_num_replicas and wish > 0:
            return self._bounded(wish)
        return self._bounded(self._delayed(now, max(0, wish), shown.target_num_replicas))

    def _bounded(self, number: int) -> int:
        return max(self.bounds.fewest, min(self.bounds.most, number))

    def _delayed(self, now: float, wish: int, target: int) -> int:
        direction = (wish > target) - (wish < target)
        if direction != self.direction:
            self.since, self.direction = None, direction
        if not direction:
            return target
        self.since = now if self.since is None else self.since
        if now - self.since + _EPSILON_S < self._delay_s(direction, target):
            return target
        self.since, self.direction = None, 0
        return max(wish, 1) if direction < 0 and target > 1 else wish

    def _delay_s(self, direction: int, target: int) -> float:
        if direction > 0:
            return self.bounds.up_delay_s
        return self.bounds.zero_delay_s if target == 1 else self.bounds.down_delay_s


def _whole(current: int, wish: float) -> int:
    """Rounded up, as with factors of 1."""
    return math.ceil(current + (wish - current)) if current else math.ceil(wish)


@dataclass
class Reports:
    """What a replica has said of itself within the look-back."""

    points: list[tuple[float, float, float]] = field(default_factory=list)

    def add(self, now: float, requests: float, cost: float) -> None:
        """One more."""
        self.points = [one for one in self.points if one[0] > now - LOOK_BACK_S]
        self.points.append((now, requests, cost))

    def means(self, now: float) -> tuple[float, float] | None:
        """Requests and cost, each counted until the next report, the last one until now."""
        if not self.points:
            return None
        times = [at for at, _, _ in self.points]
        spans = [after - at for at, after in pairwise(times)]
        spans.append(max(now - times[-1], _LEAST_S))
        weighed = list(zip(spans, self.points, strict=True))
        requests = sum(span * point[1] for span, point in weighed)
        cost = sum(span * point[2] for span, point in weighed)
        return requests / sum(spans), cost / sum(spans)
