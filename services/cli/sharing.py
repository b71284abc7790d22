"""Sharing: the options by which `serve` and `up` give the stages of the graph replicas and GPUs."""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from schemas.errors import SetupError

if TYPE_CHECKING:
    from services.graph.options import GraphOptions

_SHARE: Final = 0.5
"""Of a GPU for each half where there is one and nobody says: both halves fit on one."""

_PANEL: Final = "The model in Ray Serve"
Encoders = Annotated[
    int | None,
    typer.Option(min=1, help="Replicas of the vision half; default 1.", rich_help_panel=_PANEL),
]
EncoderGpus = Annotated[
    float | None,
    typer.Option(
        min=0, help="Of each; default 0.5, 0 where torch sees none.", rich_help_panel=_PANEL
    ),
]
Decoders = Annotated[
    int | None,
    typer.Option(min=1, help="Replicas of the language half; default 1.", rich_help_panel=_PANEL),
]
DecoderGpus = Annotated[
    float | None,
    typer.Option(
        min=0, help="Of each; default 0.5, 0 where torch sees none.", rich_help_panel=_PANEL
    ),
]
Recognisers = Annotated[
    int | None,
    typer.Option(
        min=1, help="Processes that read text, on CPUs; default 1.", rich_help_panel=_PANEL
    ),
]
Colocate = Annotated[
    bool,
    typer.Option(
        "--colocate", help="Both halves in each decoder, no encoders.", rich_help_panel=_PANEL
    ),
]
KeepFeatures = Annotated[
    bool,
    typer.Option(
        "--keep-features",
        help="Keep what encoders make, for later questions.",
        rich_help_panel=_PANEL,
    ),
]
Engine = Annotated[
    str | None,
    typer.Option(
        metavar="own|vllm", help="Whose code decodes; default own.", rich_help_panel=_PANEL
    ),
]
Config = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="YAML or JSON of all this, as a Serve config's args.",
        rich_help_panel=_PANEL,
    ),
]


@dataclass(frozen=True)
class Sharing:
    """What was given of these options; None and no for those that were not."""

    encoders: int | None = None
    encoder_gpus: float | None = None
    decoders: int | None = None
    decoder_gpus: float | None = None
    recognisers: int | None = None
    colocate: bool = False
    config: Path | None = None
    engine: str | None = None
    keep_features: bool = False

    def arguments(self) -> list[str]:
        """The same for another command line; a file is found from any folder."""
        given = {
            "--encoders": self.encoders,
            "--encoder-gpus": self.encoder_gpus,
            "--decoders": self.decoders,
            "--decoder-gpus": self.decoder_gpus,
            "--recognisers": self.recognisers,
            "--engine": self.engine,
            "--config": self.config and self.config.resolve(),
        }
        pairs = [(name, str(value)) for name, value in given.items() if value is not None]
        flags = ["--colocate"] * self.colocate + ["--keep-features"] * self.keep_features
        return [word for pair in pairs for word in pair] + flags

    def options(self, device: str) -> "GraphOptions":
        """What the graph is told.

        Args:
            device: that the settings name.

        Raises:
            SetupError: `usage`.
        """
        options = self._options(device)
        if options.vllm is not None and find_spec("vllm") is None:
            message = "the engine vllm is not installed; pip install 'reelpage[vllm]'"
            raise SetupError("usage", message)
        return options

    def _options(self, device: str) -> "GraphOptions":
        from services.graph.options import OWN, GraphOptions

        self._check()
        if self.config is not None:
            return GraphOptions.from_file(self.config)
        share = _share(device)
        given = {
            "encoder": _stage(self.encoders, self.encoder_gpus, share),
            "decoder": _stage(self.decoders, self.decoder_gpus, share),
            "recogniser": _stage(self.recognisers, 0.0, share),
            "engine": self.engine or OWN,
            "colocate": self.colocate,
            "keep_features": self.keep_features,
        }
        return GraphOptions.from_mapping(given, "options")

    def _check(self) -> None:
        """Refuse options of which one would be ignored."""
        given = self.arguments()
        if self.config is not None and len(given) > 2:
            others = ", ".join(one for one in given if one.startswith("--") and one != "--config")
            message = f"--config {self.config}: has all of it; leave out {others}"
            raise SetupError("usage", message)
        if self.colocate and (self.encoders is not None or self.encoder_gpus is not None):
            message = "--colocate: there are no encoders; give --decoders and --decoder-gpus alone"
            raise SetupError("usage", message)


def _stage(replicas: int | None, gpus: float | None, share: float) -> dict[str, Any]:
    count = 1 if replicas is None else replicas
    wanted = share if gpus is None else gpus
    return {"min_replicas": count, "max_replicas": count, "gpus": wanted}


def _share(device: str) -> float:
    from services.model.device import resolve

    return _SHARE if resolve(device).startswith("cuda") else 0.0
