"""Thresholds: what scaling is told, and the cluster it is told for."""

from dataclasses import dataclass, field
from typing import Final

from benchmarks.keda import UP, Direction, Policy, ScaledObject
from benchmarks.serving import Bounds
from benchmarks.stage import Nodes

DOWN: Final = (Policy("Percent", 50, 60.0),)
"""Half of the workers a minute go at the most."""


@dataclass(frozen=True)
class Cluster:
    """What there may be.

    Attributes:
        partitions: of the topic.
        slots: jobs that a worker works on at a time.
        worker_s: until a worker that was asked for works.
        encoders: at the most.
        decoders: at the most.
        nodes: how long they take.
        both: whether the first question wakes an encoder too, which ours does not.
    """

    partitions: int = 16
    slots: int = 4
    worker_s: float = 30.0
    encoders: int = 4
    decoders: int = 8
    nodes: Nodes = field(default_factory=Nodes)
    both: bool = False


@dataclass(frozen=True)
class Thresholds:
    """What is to be derived.

    Attributes:
        lag: `lagThreshold`, jobs for each worker.
        excludes: `excludePersistentLag`.
        cooldown_s: `cooldownPeriod`.
        window_s: `scaleDown.stabilizationWindowSeconds`.
        encoder_share: visual tokens that may wait for each encoder.
        decoder_share: tokens to decode that may wait for each decoder.
        up_delay_s: `upscale_delay_s` of both.
        down_delay_s: `downscale_delay_s` of both.
        zero_delay_s: `downscale_to_zero_delay_s` of both.
        admitted: parts in the graph, in all its ingresses together.
    """

    lag: int = 10
    excludes: bool = True
    cooldown_s: float = 300.0
    window_s: float = 300.0
    encoder_share: int = 16_384
    decoder_share: int = 32_768
    up_delay_s: float = 30.0
    down_delay_s: float = 600.0
    zero_delay_s: float = 600.0
    admitted: int = 16

    @property
    def scaled(self) -> ScaledObject:
        """For KEDA."""
        down = Direction(DOWN, self.window_s)
        return ScaledObject(self.lag, self.cooldown_s, UP, down, excludes=self.excludes)

    def bounds(self, most: int) -> Bounds:
        """For Serve, of a stage that has none while nothing waits."""
        return Bounds(0, most, self.up_delay_s, self.down_delay_s, self.zero_delay_s)


DERIVED: Final = Thresholds(
    lag=5,
    excludes=False,
    encoder_share=8192,
    decoder_share=4096,
    down_delay_s=120.0,
    admitted=64,
)
"""What `python -m benchmarks.scaling --sweep` gave."""
