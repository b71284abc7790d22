"""Contract: JSON of strangers as our dataclasses, every value of the type that its field says."""

import json
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Any, NoReturn, TypeVar, Union, cast, get_args, get_origin, get_type_hints

T = TypeVar("T")

_LONGEST_INTEGER = 1 << 53  # what JSON's readers agree on


def parse(text: str | bytes) -> Any:  # noqa: ANN401 - any JSON value
    """A JSON value, without what JSON does not have: NaN and infinities.

    Raises:
        ValueError: the text is no JSON, or is nested too deeply.
    """
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except RecursionError:
        message = "it is nested too deeply"
        raise ValueError(message) from None


def read(kind: type[T], value: object, where: str) -> T:
    """A dataclass from a JSON object.

    Args:
        kind: of fields that are texts, whole numbers, dataclasses, tuples of these, or None.
        value: what JSON gave.
        where: name of the value, for messages.

    Raises:
        ValueError: a field is unknown, missing, or of another type.
    """
    if not isinstance(value, Mapping):
        _refuse(where, "a JSON object is expected")
    types = _types(kind)  # type: ignore[arg-type] # a class is hashable
    if unknown := sorted(set(value) - set(types)):
        _refuse(where, f"unknown fields {unknown}")
    required = _required(kind)  # type: ignore[arg-type] # as above
    if missing := sorted(required - set(value)):
        _refuse(where, f"fields {missing} are missing")
    return kind(**{name: _as(types[name], one, f"{where}.{name}") for name, one in value.items()})


@cache
def _types(kind: "type[Any]") -> dict[str, Any]:
    return get_type_hints(kind)


@cache
def _required(kind: "type[Any]") -> frozenset[str]:
    return frozenset(
        one.name
        for one in fields(kind)
        if one.default is MISSING and one.default_factory is MISSING
    )


def _as(kind: Any, value: object, where: str) -> Any:  # noqa: ANN401 - any type's hint
    if get_origin(kind) in (Union, UnionType):
        if value is None and NoneType in get_args(kind):
            return None
        (kind,) = (one for one in get_args(kind) if one is not NoneType)
    if get_origin(kind) is tuple:
        if not isinstance(value, list):
            _refuse(where, "a list is expected")
        return tuple(_as(get_args(kind)[0], one, where) for one in value)
    if is_dataclass(kind):
        return read(cast("type[Any]", kind), value, where)
    if kind is str and isinstance(value, str):
        return _text(value, where)
    if kind is int and type(value) is int and abs(value) <= _LONGEST_INTEGER:
        return value
    _refuse(where, f"{'a text' if kind is str else 'a whole number'} is expected")


def _text(value: str, where: str) -> str:
    """A text that every store and table can keep."""
    if "\0" in value or (not value.isascii() and any("\ud800" <= one <= "\udfff" for one in value)):
        _refuse(where, "it holds NUL or half a surrogate pair")
    return value


def _refuse_constant(name: str) -> NoReturn:
    message = f"{name} is no JSON"
    raise ValueError(message)


def _refuse(where: str, why: str) -> NoReturn:
    message = f"{where}: {why}"
    raise ValueError(message)
