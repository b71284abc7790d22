"""KEDA: how many workers a Deployment has, by the lag of their group.

Two controllers share the number. KEDA itself goes from none to one, and from any number to none.
In between it answers the horizontal pod autoscaler (HPA), which asks for the lag.

The rules are those of KEDA 2.21, `pkg/scalers/kafka_scaler.go` (`getTotalLag`) and
`pkg/scaling/executor/scale_scaledobjects.go`, and of Kubernetes 1.32,
`pkg/controller/podautoscaler/replica_calculator.go` (`GetExternalPerPodMetricReplicas`) and
`horizontal.go` (`normalizeDesiredReplicasWithBehaviors`).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

SYNC_S: Final = 15.0
"""Between two looks of the HPA."""
POLL_S: Final = 30.0
"""Between two looks of KEDA itself, `pollingInterval`."""
_TOLERANCE: Final = 0.1


@dataclass(frozen=True)
class Policy:
    """The most that the number may change within a period."""

    kind: Literal["Pods", "Percent"]
    value: int
    period_s: float


@dataclass(frozen=True)
class Direction:
    """`scaleUp` or `scaleDown` of an HPA's `behavior`; the policy that allows most decides."""

    policies: tuple[Policy, ...]
    window_s: float = 0.0


UP: Final = Direction((Policy("Percent", 100, 15.0), Policy("Pods", 4, 15.0)))
"""As Kubernetes does where nothing is said."""


@dataclass(frozen=True)
class ScaledObject:
    """What one says.

    Attributes:
        lag_threshold: jobs for each worker.
        cooldown_s: without lag before the last worker goes.
        up: how fast the number grows.
        down: how fast it shrinks.
        with_lag: no more workers than partitions that have lag, `limitToPartitionsWithLag`.
        excludes: leave partitions out that have not moved, `excludePersistentLag`.
    """

    lag_threshold: int
    cooldown_s: float
    up: Direction
    down: Direction
    with_lag: bool = True
    excludes: bool = False


@dataclass
class Lags:
    """The Kafka scaler: lag of a group, as the HPA is told it."""

    rules: ScaledObject
    _before: list[int] = field(default_factory=list)

    def told(self, ends: Sequence[int], committed: Sequence[int]) -> int:
        """Jobs of all partitions; its cap divides whole numbers, so one worker may be idle.

        Args:
            ends: offset behind the last record, by partition.
            committed: of the group.
        """
        lags = [
            0 if self._rests(number, place) else end - place
            for number, (end, place) in enumerate(zip(ends, committed, strict=True))
        ]
        self._before = list(committed)
        total, threshold = sum(lags), self.rules.lag_threshold
        bound = sum(lag > 0 for lag in lags) if self.rules.with_lag else len(lags)
        return bound * threshold if total // threshold > bound else total

    def _rests(self, number: int, place: int) -> bool:
        return self.rules.excludes and bool(self._before) and self._before[number] == place


def wanted(current: int, metric: int, target: int) -> int:
    """Workers for a metric, of which each is to have `target`; small differences are let be."""
    if abs(metric / (target * current) - 1) <= _TOLERANCE:
        return current
    return math.ceil(metric / target)


@dataclass
class Hpa:
    """The HPA between one and the most, with what it remembers.

    Attributes:
        wishes: seconds and numbers that it has wanted.
        events: seconds and changes that it has made.
    """

    rules: ScaledObject
    wishes: list[tuple[float, int]] = field(default_factory=list)
    events: list[tuple[float, int]] = field(default_factory=list)

    def look(self, now: float, current: int, metric: int) -> int:
        """Workers that there should be; none are left as they are: KEDA's."""
        if not current:
            return 0
        self._forget(now)
        wish = wanted(current, metric, self.rules.lag_threshold)
        wish = self._limited(now, current, self._steady(now, current, wish))
        if wish != current:
            self.events.append((now, wish - current))
        return wish

    def _forget(self, now: float) -> None:
        longest = max(self.rules.up.window_s, self.rules.down.window_s)
        self.wishes = [one for one in self.wishes if one[0] > now - longest]
        periods = (*self.rules.up.policies, *self.rules.down.policies)
        since = now - max(one.period_s for one in periods)
        self.events = [one for one in self.events if one[0] > since]

    def _steady(self, now: float, current: int, wish: int) -> int:
        """Up to the least that was wanted in one window, down to the most in the other."""
        self.wishes.append((now, wish))
        up, down = (
            [number for at, number in self.wishes if at > now - one.window_s or at == now]
            for one in (self.rules.up, self.rules.down)
        )
        return min(max(current, min(up)), max(down))

    def _limited(self, now: float, current: int, wish: int) -> int:
        if wish > current:
            limits = [self._start(now, current, one) for one in self.rules.up.policies]
            return min(wish, max(current, *limits))
        limits = [self._start(now, current, one, -1) for one in self.rules.down.policies]
        return min(current, max(wish, 1, min(limits)))

    def _start(self, now: float, current: int, policy: Policy, sign: int = 1) -> int:
        """How far a policy goes from the number at the beginning of its period."""
        changed = sum(change for at, change in self.events if at > now - policy.period_s)
        began = current - changed
        if policy.kind == "Pods":
            return began + sign * policy.value
        exact = began * (1 + sign * policy.value / 100)
        return math.ceil(exact) if sign > 0 else math.floor(exact)


@dataclass
class Keda:
    """Both controllers of one Deployment."""

    rules: ScaledObject
    active_at: float = -math.inf
    lags: Lags = field(init=False)
    hpa: Hpa = field(init=False)

    def __post_init__(self) -> None:
        """Nothing has been seen."""
        self.lags, self.hpa = Lags(self.rules), Hpa(self.rules)

    def poll(self, now: float, current: int, lag: int) -> int:
        """KEDA's own look: the first worker comes with the first job, `activationLagThreshold` 0.

        Args:
            now: seconds.
            current: workers.
            lag: jobs of all partitions, whether these move or not.
        """
        if lag:
            self.active_at = now
            return max(1, current)
        return 0 if current and self.active_at + self.rules.cooldown_s < now else current

    def sync(self, now: float, current: int, ends: Sequence[int], committed: Sequence[int]) -> int:
        """The HPA's look."""
        return self.hpa.look(now, current, self.lags.told(ends, committed)) if current else 0
