"""Bytes that a kept page and a kept frame need, against the media that they are of.

    python -m benchmarks.kept [PATHS] [--json]

Without paths the project's test media are measured, where they are, and the samples.
"""

from collections.abc import Iterable
from pathlib import Path

from benchmarks.common import MEDIA, ROOT, Report, note, parser, show
from pipeline.decode import DecodePlan, Sampling, decode
from schemas.errors import InputError
from schemas.shards import MediaInfo, Shard

_PLAN = DecodePlan(Sampling("rate", 1.0))


def measure(path: Path) -> Report:
    """Pictures of a medium at one a second, and their bytes."""
    kind, sizes, pixels = "", [], 0
    for one in decode(path, _PLAN):
        if isinstance(one, MediaInfo):
            kind = one.kind
        elif isinstance(one, Shard):
            sizes += [len(row["image"]) for row in one.rows.to_pylist()]
            pixels += sum(row["width"] * row["height"] for row in one.rows.to_pylist())
    return {
        "medium": path.name,
        "kind": kind,
        "medium_bytes": path.stat().st_size,
        "pictures": len(sizes),
        "bytes_each": round(sum(sizes) / len(sizes)) if sizes else 0,
        "bytes_a_pixel": round(sum(sizes) / pixels, 3) if pixels else 0.0,
    }


def every(paths: Iterable[Path]) -> list[Report]:
    """All that can be read."""
    rows = []
    for path in paths:
        note(path.name)
        try:
            rows.append(measure(path))
        except InputError as error:
            note(error.message)
    return rows


def main() -> None:
    """Command line."""
    options = parser(__doc__)
    options.add_argument("paths", nargs="*", type=Path)
    args = options.parse_args()
    folders = [ROOT / "samples", *([MEDIA] if MEDIA.is_dir() else [])]
    kinds = (".pdf", ".mkv", ".mp4", ".webm", ".ogv", ".png", ".jpg")
    found = [path for folder in folders for path in sorted(folder.iterdir())]
    show("kept", every(args.paths or [p for p in found if p.suffix in kinds]), as_json=args.json)


if __name__ == "__main__":
    main()
