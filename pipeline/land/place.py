"""Place: where a lake is, a folder or a bucket with named objects and Delta tables beside them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol


class Objects(Protocol):
    """Named bytes below one root. A name is a relative path with `/`; an object is whole or absent.

    Every method may raise TransientError (`store_failed`) if the store does not answer, after
    which the effect may have happened or not, and SetupError (`disk_full`, `lake_not_writable`,
    `store_refused`, `store_missing`) where no second attempt helps.
    """

    def put(self, name: str, data: bytes) -> None:
        """Store an object, over the one that is there; a reader sees the old or the new bytes."""

    def get(self, name: str) -> bytes | None:
        """The bytes of an object, or None."""

    def get_version(self, name: str) -> tuple[bytes | None, str]:
        """The bytes of an object and what tells them from others; None and "" if there is none."""

    def replace(self, name: str, data: bytes, version: str) -> bool:
        """Store an object if what is there is of a version; "" if nothing is to be there.

        Returns:
            False if something else is there, or something at all.
        """

    def delete(self, name: str) -> None:
        """Remove an object; no error if there is none."""

    def names(self, prefix: str) -> Iterator[str]:
        """Names that begin with a prefix, in order."""


@dataclass(frozen=True)
class Place:
    """A lake's address.

    Attributes:
        uri: absolute folder, or "s3://bucket/prefix"; without a slash at its end.
        objects: everything below it that is not a table, and the tables' data files.
        options: gives the storage options that deltalake needs for `uri`; keys in them change.
    """

    uri: str
    objects: Objects
    options: Callable[[], dict[str, str]] = field(default=dict, repr=False)

    @property
    def is_folder(self) -> bool:
        """Whether it is on a disk."""
        return "://" not in self.uri

    def table(self, name: str) -> str:
        """Address of one table, for deltalake."""
        return f"{self.uri}/{name}"
