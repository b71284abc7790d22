"""Graph options: how many replicas the stages of the graph have, and on what."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from schemas.errors import SetupError
from services.graph.strict import read_options

OWN: Final = "own"
VLLM: Final = "vllm"
ENGINES: Final = (OWN, VLLM)
"""Whose code decodes: ours, or vLLM's over our features."""


@dataclass(frozen=True)
class StageOptions:
    """One stage.

    Attributes:
        min_replicas: fewest; 0 lets it go away when nothing waits.
        max_replicas: most; as many as the fewest do not scale.
        gpus: of one replica, a share of one or several whole ones; 0 runs it on the processor.
        cpus: of one replica.
        resources: of one replica, by name, that only some hosts of the cluster offer.
    """

    min_replicas: int = 1
    max_replicas: int = 1
    gpus: float = 0.0
    cpus: float = 1.0
    resources: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class VllmOptions:
    """A decoder of vLLM.

    Attributes:
        tensor_parallel: processes that share each layer.
        share: of each GPU that it may fill.
    """

    tensor_parallel: int
    share: float


@dataclass(frozen=True)
class GraphOptions:
    """The whole graph.

    Attributes:
        encoder: the vision half; not used if colocated.
        decoder: the language half; both halves if colocated.
        recogniser: reads text in pictures, on processors.
        engine: whose code decodes, "own" or "vllm".
        tensor_parallel: processes that share each layer in a decoder of vLLM; 0 is one a GPU.
        colocate: run both halves in one replica: for few and small pictures a split does not pay.
        lander: whether the graph has a lander of its own; false where one stands beside it.
        keep_features: whether the lake keeps what encoders make of pictures, for later questions.
        ingresses: processes that read shards; more where decoding pictures takes a whole core.
        admitted: shards that one of them works on at a time; the next one is told to come again.
        grace_s: time that a replica has to finish what it holds when it is taken away.
    """

    encoder: StageOptions = field(default_factory=StageOptions)
    decoder: StageOptions = field(default_factory=StageOptions)
    recogniser: StageOptions = field(default_factory=StageOptions)
    engine: str = OWN
    tensor_parallel: int = 0
    colocate: bool = False
    lander: bool = True
    keep_features: bool = False
    ingresses: int = 1
    admitted: int = 16
    grace_s: float = 60.0

    @classmethod
    def from_file(cls, path: Path) -> "GraphOptions":
        """Read a YAML or JSON file that holds the `args` alone.

        Raises:
            SetupError: `usage`, as of `from_mapping`, and for a file that cannot be read.
        """
        try:
            given = yaml.safe_load(path.read_text())  # JSON is YAML too
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            message = f"{path}: cannot be read as YAML or JSON ({' '.join(str(error).split())})"
            raise SetupError("usage", message) from error
        return cls.from_mapping(given, str(path))

    @classmethod
    def from_mapping(cls, given: Mapping[str, Any], where: str = "args") -> "GraphOptions":
        """Read the `args` of a Serve config file.

        Args:
            given: what the file holds.
            where: it came from, for messages.

        Raises:
            SetupError: `usage`, for an unknown key or a value that cannot be.
        """
        options = read_options(cls, given, where)
        for name in ("encoder", "decoder", "recogniser"):
            stage = getattr(options, name)
            if not 0 <= stage.min_replicas <= stage.max_replicas or stage.max_replicas < 1:
                _refuse(f"{where}.{name}: max_replicas is at least 1 and at least min_replicas")
            if not (stage.gpus >= 0 and stage.cpus >= 0):  # what is no number is neither
                _refuse(f"{where}.{name}: gpus and cpus are not negative")
            if stage.gpus > 1 and stage.gpus % 1:
                _refuse(f"{where}.{name}: gpus is a share of one, or a whole number")
            if not all(amount > 0 for amount in stage.resources.values()):
                _refuse(f"{where}.{name}.resources: amounts are above 0")
        if options.recogniser.gpus:
            _refuse(f"{where}.recogniser: runs on processors; leave its gpus out")
        options.check_engine(where)
        if options.keep_features and options.colocate:
            _refuse(f"{where}: encoders give features; with colocate leave out keep_features")
        if options.ingresses < 1 or options.admitted < 1 or options.grace_s < 0:
            _refuse(f"{where}: ingresses and admitted are at least 1, and grace_s is not negative")
        return options

    def check_engine(self, where: str) -> None:
        """Refuse what whoever decodes cannot do.

        Raises:
            SetupError: `usage`.
        """
        if self.engine not in ENGINES:
            _refuse(f"{where}.engine: {self.engine!r}; known are {', '.join(ENGINES)}")
        if self.engine == VLLM and self.colocate:
            _refuse(f"{where}: vLLM decodes what encoders made; leave out colocate")
        if self.tensor_parallel < 0 or (self.tensor_parallel > 1 and self.engine == OWN):
            _refuse(f"{where}: tensor_parallel is not negative, and for the engine vllm")

    @property
    def vllm(self) -> VllmOptions | None:
        """What decoders of vLLM are told; None for ours."""
        if self.engine == OWN:
            return None
        gpus = self.decoder.gpus
        share = gpus if 0 < gpus < 1 else 1.0
        return VllmOptions(self.tensor_parallel or max(1, int(gpus)), share)

    @property
    def stages(self) -> tuple[StageOptions, ...]:
        """Those that run."""
        halves = (self.decoder,) if self.colocate else (self.encoder, self.decoder)
        return (*halves, self.recogniser)

    @property
    def deployments(self) -> dict[str, StageOptions | None]:
        """Names of the deployments that the graph is made of; with options, where it is a stage."""
        halves = {"Encoder": self.encoder, "Decoder": self.decoder}
        return {
            "Graph": None,
            **({"Reader": self.decoder} if self.colocate else halves),
            "Recogniser": self.recogniser,
            **({"Lander": None} if self.lander else {}),
        }

    @property
    def shares(self) -> list[float]:
        """GPUs of each replica that is there from the start."""
        return [stage.gpus for stage in self.stages for _ in range(stage.min_replicas)]


def _refuse(message: str) -> None:
    raise SetupError("usage", message)
