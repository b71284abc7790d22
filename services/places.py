"""Places: stand-in until the branch `places` is merged."""

from collections.abc import Iterator
from pathlib import Path

from pipeline.place import Place
from services.settings import Settings


class Folder:
    """Objects below a folder."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def put(self, name: str, data: bytes) -> None:
        """Store."""
        (self._root / name).parent.mkdir(parents=True, exist_ok=True)
        (self._root / name).write_bytes(data)

    def get(self, name: str) -> bytes | None:
        """Read."""
        path = self._root / name
        return path.read_bytes() if path.exists() else None

    def delete(self, name: str) -> None:
        """Remove."""
        (self._root / name).unlink(missing_ok=True)

    def names(self, prefix: str) -> Iterator[str]:
        """List."""
        return iter(())


def open_place(location: str, settings: Settings) -> Place:
    """A folder."""
    return Place(location, Folder(Path(location)))
