"""Found: the checkpoint that an option or the settings name, on this machine."""

from dataclasses import dataclass, replace
from pathlib import Path

from services.checkpoints.address import Address, parse
from services.settings import Settings


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint on this machine.

    Attributes:
        folder: where its files are.
        address: by which another machine finds the same, pinned to the commit where it has one.
    """

    folder: Path
    address: str


def checkpoint(settings: Settings, option: str = "", *, quiet: bool = True) -> Checkpoint:
    """The checkpoint to use: the option, else the setting, else the one that ships.

    It is downloaded where it is not here; processes of a machine share what one has downloaded.

    Raises:
        SetupError: `usage`, `model_missing`, `disk_full`, or what a store says.
        TransientError: `fetch_failed` or `store_failed`.
    """
    if not (text := option or settings.model):
        import pipeline.vlm

        text = str(Path(pipeline.vlm.__file__).parent / "tiny")
    address = parse(text)
    folder = _folder(address, settings, quiet=quiet)
    if address.kind in ("hf", "ms"):
        address = replace(address, revision=folder.name)
    return Checkpoint(folder, str(address))


def _folder(address: Address, settings: Settings, *, quiet: bool) -> Path:
    if address.kind == "hf":
        from services.checkpoints import hugging_face  # a start without a hub is not to load it

        return hugging_face.snapshot(address, quiet=quiet)
    if address.kind == "ms":
        from services.checkpoints import model_scope

        return model_scope.snapshot(address, quiet=quiet)
    if address.kind == "s3":
        from services.checkpoints import buckets

        return buckets.copy(address, settings)
    return Path(address.name)
