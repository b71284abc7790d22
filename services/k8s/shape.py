"""Shape: what a custom resource may look like, field by field; what is not said is wrong.

A shape yields what is wrong with a value as pairs of a path and a sentence.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, Protocol

Wrong = Iterator[tuple[str, str]]


class Shape(Protocol):
    """A description of a value."""

    def wrong(self, value: Any, path: str) -> Wrong:  # noqa: ANN401 - any value of YAML
        """What is wrong with a value at a path."""


@dataclass(frozen=True)
class Is:
    """A value of one type of Python's; yes is no number."""

    kind: type

    def wrong(self, value: Any, path: str) -> Wrong:  # noqa: ANN401 - see `Shape`
        """See `Shape`."""
        if not isinstance(value, self.kind) or (isinstance(value, bool) and self.kind is not bool):
            remedy = f'; write "{value}"' if self.kind is str and _is_plain(value) else ""
            yield path, f"{value!r} is no {_NAMES[self.kind]}{remedy}"


_NAMES = {str: "text", int: "whole number", bool: "true or false"}
TEXT, WHOLE, YES = Is(str), Is(int), Is(bool)


def _is_plain(value: object) -> bool:
    return isinstance(value, int | float)


@dataclass(frozen=True)
class Plain:
    """A text, a number, or yes or no."""

    def wrong(self, value: Any, path: str) -> Wrong:  # noqa: ANN401 - see `Shape`
        """See `Shape`."""
        if not isinstance(value, str | int | float):
            yield path, f"{value!r} is no text, number, true or false"


PLAIN = Plain()


@dataclass(frozen=True)
class Like:
    """A text that matches a pattern; `form` says it in words."""

    pattern: str
    form: str

    def wrong(self, value: Any, path: str) -> Wrong:  # noqa: ANN401 - see `Shape`
        """See `Shape`."""
        yield from (found := list(TEXT.wrong(value, path)))
        if not found and not re.fullmatch(self.pattern, value):
            yield path, f"{value!r}: give {self.form}"


def one_of(*texts: str) -> Like:
    """One of some texts."""
    return Like("|".join(map(re.escape, texts)), " or ".join(texts))


@dataclass(frozen=True)
class Each:
    """A list of values of one shape, of which there are some."""

    shape: Shape

    def wrong(self, value: Any, path: str) -> Wrong:  # noqa: ANN401 - see `Shape`
        """See `Shape`."""
        if not isinstance(value, list) or not value:
            yield path, f"{value!r} is no list of anything"
            return
        for index, one in enumerate(value):
            yield from self.shape.wrong(one, f"{path}[{index}]")


@dataclass(frozen=True)
class Named:
    """A mapping of any names to values of one shape."""

    shape: Shape

    def wrong(self, value: Any, path: str) -> Wrong:  # noqa: ANN401 - see `Shape`
        """See `Shape`."""
        if not isinstance(value, Mapping):
            yield path, f"{value!r} is no mapping"
            return
        for name, one in value.items():
            yield from self.shape.wrong(one, f"{path}.{name}")


@dataclass(frozen=True)
class Fields:
    """A mapping of known names.

    Attributes:
        known: their shapes.
        needed: those that may not be missing.
    """

    known: Mapping[str, Shape]
    needed: tuple[str, ...] = field(default=())

    def wrong(self, value: Any, path: str) -> Wrong:  # noqa: ANN401 - see `Shape`
        """See `Shape`."""
        if not isinstance(value, Mapping):
            yield path, f"{value!r} is no mapping"
            return
        for name, one in value.items():
            place = f"{path}.{name}".lstrip(".")
            if name in self.known:
                yield from self.known[name].wrong(one, place)
            else:
                yield place, unknown(str(name), self.known)
        for name in self.needed:
            if name not in value:
                yield f"{path}.{name}".lstrip("."), "is missing"


def unknown(name: str, known: Iterable[str], what: str = "field") -> str:
    """That something of a name is unknown, and which one was meant."""
    names = sorted(known)
    near = get_close_matches(name, names, 1, 0.6)
    remedy = f"did you mean {near[0]}?" if near else "known are " + ", ".join(names)
    return f"no such {what}; {remedy}"
