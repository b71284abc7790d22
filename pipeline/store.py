"""Store: shard files below the lake's folder; written whole or not at all."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from schemas.errors import SetupError
from schemas.shards import MediaInfo, Shard, info_from_json, info_to_json


@contextmanager
def disk_errors(folder: Path) -> Iterator[None]:
    """Turn a full or read-only disk into one line with the remedy.

    Raises:
        SetupError: `disk_full` or `lake_not_writable`.
    """
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT) or "No space left" in str(error):
            message = f"{folder}: the disk is full; free some room and run the same command again"
            raise SetupError("disk_full", message) from error
        if isinstance(error, PermissionError | NotADirectoryError | FileExistsError) or (
            error.errno == errno.EROFS
        ):
            message = f"{folder}: cannot be written ({error.strerror}); choose another --to folder"
            raise SetupError("lake_not_writable", message) from error
        raise


def write_whole(path: Path, data: bytes) -> None:
    """Write a file so that a reader sees all of it or none, also after a crash."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with new.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)


class ShardStore:
    """The shards of one medium under one sampling: `shards/<media id>/<sampling id>/`."""

    def __init__(self, lake: Path, media_id: str, sampling_id: str) -> None:
        self._lake = lake
        self._folder = lake / "shards" / media_id[:2] / media_id / sampling_id

    def name(self, part: int) -> str:
        """Path of a part's file below the lake's folder, as it stands in the tables."""
        return str((self._folder / f"{part:06}.arrow").relative_to(self._lake))

    def write(self, shard: Shard) -> str:
        """Keep a shard; returns its name."""
        name = self.name(shard.part)
        with disk_errors(self._lake):
            write_whole(self._lake / name, shard.to_ipc())
        return name

    def extend(self, more: Shard) -> Shard:
        """Add pages to a shard behind those it has, once each; returns the whole."""
        kept = self.read(more.part)
        if kept is not None:
            known = kept.rows.column("page_no")
            new = more.rows.filter(pc.invert(pc.is_in(more.rows.column("page_no"), known)))
            rows = pa.concat_batches([kept.rows, new.cast(kept.rows.schema)])
            more = replace(more, rows=rows)
        self.write(more)
        return more

    def write_info(self, info: MediaInfo) -> None:
        """Keep the medium's facts beside its shards."""
        with disk_errors(self._lake):
            write_whole(self._folder / "info.json", info_to_json(info).encode())

    def read_info(self) -> MediaInfo | None:
        """The facts kept by an earlier run, or None."""
        path = self._folder / "info.json"
        return info_from_json(path.read_bytes()) if path.exists() else None

    def read(self, part: int) -> Shard | None:
        """A shard kept earlier, or None."""
        path = self._lake / self.name(part)
        return Shard.from_ipc(path.read_bytes()) if path.exists() else None

    def count(self) -> int:
        """Parts kept, from the first one on without a gap."""
        part = 0
        while (self._lake / self.name(part)).exists():
            part += 1
        return part

    def read_from(self, part: int) -> Iterator[Shard]:
        """The shards from `part` on, one at a time."""
        while (shard := self.read(part)) is not None:
            yield shard
            part += 1

    def pictures_before(self, part: int) -> int:
        """Pictures in the parts before `part`; kept shards only."""
        shards = (self.read(index) for index in range(part))
        return sum(shard.rows.num_rows for shard in shards if shard is not None)


def read_shard(lake: Path, name: str) -> Shard:
    """The shard that a row of `frames` or `pages` names."""
    return Shard.from_ipc((lake / name).read_bytes())
