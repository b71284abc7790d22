"""reelpage: point it at videos and PDFs, query them as tables."""

import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb

__all__ = ["main", "open_lake"]

_PACKAGES = ("pipeline", "services", "schemas")


def _check_packages() -> None:
    """Name the folder that hides one of our packages: their names are plain words."""
    home = Path(__file__).resolve().parent
    for name in _PACKAGES:
        spec = importlib.util.find_spec(name)
        found = Path(spec.origin).resolve().parents[1] if spec and spec.origin else None
        if found != home:
            where = found or "nowhere"
            text = (
                f"shadowed: the package {name!r} comes from {where}, not from {home}; "
                "run reelpage from another folder, or take that one out of PYTHONPATH\n"
            )
            sys.stderr.write(text)
            sys.exit(2)


def _check_system() -> None:
    """Files are locked by `fcntl`, which Windows alone does not have."""
    if importlib.util.find_spec("fcntl") is None:
        sys.stderr.write("reelpage runs on Linux and macOS; on Windows, run it inside WSL\n")
        sys.exit(2)


def main() -> None:
    """Entry point of the `reelpage` command."""
    _check_system()
    _check_packages()
    from services.cli.main import run

    run()


def open_lake(lake: str | Path) -> "duckdb.DuckDBPyConnection":
    """A DuckDB connection that sees the lake's tables by name, read-only.

    Args:
        lake: a folder, or `s3://bucket/prefix` in the store of the `REELPAGE_S3_*` variables.

    Raises:
        schemas.errors.SetupError: there is no lake, or it cannot be read.
    """
    from pipeline.query.sql import Lake
    from services.settings import Settings
    from services.storage.places import open_place

    return Lake(open_place(str(lake), Settings.from_environment())).connection()


if __name__ == "__main__":
    main()
