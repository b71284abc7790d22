"""Listed: the checkpoints that are on this machine, wherever they came from."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from schemas.errors import SetupError
from services.checkpoints.cache import folder as cache
from services.checkpoints.found import Checkpoint, checkpoint
from services.checkpoints.model_scope import remembered
from services.settings import Settings


def listed(settings: Settings) -> list[Checkpoint]:
    """What ships, the folder that is set, and what has been fetched of hubs and buckets.

    Raises:
        SetupError: `usage`, of an address in the settings that is none.
    """
    found = [checkpoint(Settings())]
    if settings.model and Path(settings.model).is_dir():
        found.append(checkpoint(settings))
    found += [*_hugging_face(), *remembered(), *_buckets()]
    return list({one.folder.resolve(): one for one in found if _is_whole(one.folder)}.values())


def _hugging_face() -> Iterator[Checkpoint]:
    """Snapshots in that hub's own cache."""
    from huggingface_hub import scan_cache_dir
    from huggingface_hub.errors import CacheNotFound

    with suppress(CacheNotFound):
        for repository in sorted(scan_cache_dir().repos, key=lambda one: one.repo_id):
            for one in repository.revisions if repository.repo_type == "model" else ():
                address = f"hf://{repository.repo_id}@{one.commit_hash}"
                yield Checkpoint(one.snapshot_path, address)


def _buckets() -> Iterator[Checkpoint]:
    """Copies by their digests; nothing says of which bucket they are."""
    for path in sorted(cache().glob("*/config.json")):
        yield Checkpoint(path.parent, str(path.parent))


def _is_whole(folder: Path) -> bool:
    """Whether it is a checkpoint of the family with weights: other tools use these caches too."""
    from pipeline.vlm.facts import read_family, read_processor

    try:
        read_family(folder)
        read_processor(folder)
    except SetupError:
        return False
    return any(folder.glob("*.safetensors"))
