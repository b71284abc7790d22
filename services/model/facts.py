"""Facts: what a recipe and the rows need to know of a checkpoint, read without torch."""

from dataclasses import dataclass
from pathlib import Path

from pipeline.vlm.facts import read_family, read_processor, revision


@dataclass(frozen=True)
class ModelFacts:
    """What a recipe and the rows need to know of a checkpoint, read without loading weights.

    Attributes:
        directory: where it is.
        name: the directory's name; of a hub's snapshot the repository's, with its commit.
        revision: identity of its content.
        min_pixels: fewest pixels of a picture.
        max_pixels: most pixels of a picture.
    """

    directory: Path
    name: str
    revision: str
    min_pixels: int
    max_pixels: int


def model_facts(directory: Path) -> ModelFacts:
    """Read a checkpoint's facts; its weights and the device are looked at when it is loaded.

    Raises:
        SetupError: `model_missing` or `model_unsupported`.
    """
    read_family(directory)
    processor = read_processor(directory)
    identity = revision(directory)
    return ModelFacts(
        directory, _name(directory), identity, processor.min_pixels, processor.max_pixels
    )


def _name(directory: Path) -> str:
    """What rows call a model: in a hub's cache, `models--org--name/snapshots/commit`, not so."""
    if directory.parent.name == "snapshots":
        repository = directory.parent.parent.name.removeprefix("models--").replace("--", "/", 1)
        return f"{repository}@{directory.name}"
    return f"reelpage-{directory.name}" if directory.name == "tiny" else directory.name
