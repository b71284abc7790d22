"""Graph options: how many replicas the stages of the graph have, and on what."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from schemas.errors import SetupError
from services.graph.strict import read_options


@dataclass(frozen=True)
class StageOptions:
    """One stage.

    Attributes:
        min_replicas: fewest; 0 lets it go away when nothing waits.
        max_replicas: most; as many as the fewest do not scale.
        gpus: of one replica, a share of one too; 0 runs it on the processor.
        cpus: of one replica.
    """

    min_replicas: int = 1
    max_replicas: int = 1
    gpus: float = 0.0
    cpus: float = 1.0


@dataclass(frozen=True)
class GraphOptions:
    """The whole graph.

    Attributes:
        encoder: the vision half; not used if colocated.
        decoder: the language half; both halves if colocated.
        recogniser: reads text in pictures, on processors.
        colocate: run both halves in one replica: for few and small pictures a split does not pay.
        ingresses: processes that read shards; more where decoding pictures takes a whole core.
        admitted: shards that one of them works on at a time; the next one is told to come again.
        grace_s: time that a replica has to finish what it holds when it is taken away.
    """

    encoder: StageOptions = field(default_factory=StageOptions)
    decoder: StageOptions = field(default_factory=StageOptions)
    recogniser: StageOptions = field(default_factory=StageOptions)
    colocate: bool = False
    ingresses: int = 1
    admitted: int = 16
    grace_s: float = 60.0

    @classmethod
    def from_mapping(cls, given: Mapping[str, Any]) -> "GraphOptions":
        """Read the `args` of a Serve config file.

        Raises:
            SetupError: `usage`, for an unknown key or a value that cannot be.
        """
        options = read_options(cls, given, "args")
        for name in ("encoder", "decoder", "recogniser"):
            stage = getattr(options, name)
            if not 0 <= stage.min_replicas <= stage.max_replicas or stage.max_replicas < 1:
                _refuse(f"args.{name}: max_replicas is at least 1 and at least min_replicas")
            if stage.gpus < 0 or stage.cpus < 0:
                _refuse(f"args.{name}: gpus and cpus are not negative")
        if options.recogniser.gpus:
            _refuse("args.recogniser: runs on processors; leave its gpus out")
        if options.ingresses < 1 or options.admitted < 1 or options.grace_s < 0:
            _refuse("args: ingresses and admitted are at least 1, and grace_s is not negative")
        return options

    @property
    def stages(self) -> tuple[StageOptions, ...]:
        """Those that run."""
        halves = (self.decoder,) if self.colocate else (self.encoder, self.decoder)
        return (*halves, self.recogniser)


def _refuse(message: str) -> None:
    raise SetupError("usage", message)
