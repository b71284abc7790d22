"""Cache: where files of checkpoints are kept that no hub's client keeps, and which are taken."""

import os
from pathlib import Path
from typing import Final

TAKEN: Final = ("*.json", "*.safetensors", "*.txt", "*.jinja")
"""Names of what a checkpoint is read from; nothing of it is ever run, so no pickles."""


def folder() -> Path:
    """The user's folder for checkpoints."""
    cached = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cached) / "reelpage" / "models"
