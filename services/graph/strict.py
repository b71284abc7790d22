"""Strict: options from outside, of which every key must be known; Ray lets `num_gpu` pass."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import is_dataclass
from difflib import get_close_matches
from typing import Any, TypeVar, cast, get_args, get_origin, get_type_hints

from schemas.errors import SetupError

T = TypeVar("T")


def refuse_unknown(where: str, given: Iterable[str], known: Iterable[str]) -> None:
    """Check keys.

    Raises:
        SetupError: `usage`, naming the key that was meant, or all.
    """
    names = sorted(known)
    for key in given:
        if key not in names:
            near = get_close_matches(str(key), names, 1, 0.5)
            remedy = f"did you mean {near[0]}?" if near else "known are " + ", ".join(names)
            message = f"{where}: no such option {key!r}; {remedy}"
            raise SetupError("usage", message)


def read_options(kind: type[T], given: Mapping[str, Any], where: str) -> T:
    """A dataclass of numbers, texts, yes-or-no, amounts and other such dataclasses, of a mapping.

    Raises:
        SetupError: `usage`, for an unknown key or a value of another type.
    """
    _is_mapping(given, where)
    types = get_type_hints(kind)
    refuse_unknown(where, given, types)
    values: dict[str, Any] = {}
    for key, value in given.items():
        wanted, place = types[key], f"{where}.{key}"
        if is_dataclass(wanted):
            values[key] = read_options(cast("type[Any]", wanted), value, place)
            continue
        if get_origin(wanted) is Mapping:
            _is_mapping(value, place)
            for name, amount in value.items():
                _is_a(get_args(wanted)[1], amount, f"{place}.{name}")
        else:
            _is_a(wanted, value, place)
        values[key] = value
    return kind(**values)


def _is_a(wanted: type, value: object, place: str) -> None:
    allowed = (int, float) if wanted is float else (wanted,)
    if not isinstance(value, allowed) or (isinstance(value, bool) and wanted is not bool):
        message = f"{place}: {value!r} is no {wanted.__name__}"
        raise SetupError("usage", message)


def check_keys(model: Any, given: Any, where: str) -> None:  # noqa: ANN401 - any pydantic model
    """Check the keys of a nested configuration against a pydantic model that would ignore them.

    Args:
        model: the pydantic class.
        given: what is to be read as one.
        where: name of the whole, for messages.

    Raises:
        SetupError: `usage`, for a key that the model does not know.
    """
    _is_mapping(given, where)
    known = model.model_fields
    refuse_unknown(where, given, known)
    for key, value in given.items():
        inner = next(_models(known[key].annotation), None)
        if inner is None:
            continue
        if isinstance(value, list):
            for index, one in enumerate(value):
                check_keys(inner, one, f"{where}.{key}[{index}]")
        elif isinstance(value, Mapping):
            check_keys(inner, value, f"{where}.{key}")


def _models(annotation: Any) -> Iterator[Any]:  # noqa: ANN401 - any annotation
    if hasattr(annotation, "model_fields"):
        yield annotation
    for inner in get_args(annotation):
        yield from _models(inner)


def _is_mapping(given: object, where: str) -> None:
    if not isinstance(given, Mapping):
        message = f"{where}: {given!r} is no mapping"
        raise SetupError("usage", message)
