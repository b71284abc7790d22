"""Core: kinds of Kubernetes itself, by the schemas that `kubernetes-validate` brings."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from schemas.errors import SetupError
from services.k8s.documents import Document
from services.k8s.shape import Wrong, unknown

if TYPE_CHECKING:
    from jsonschema import ValidationError

_FOLDER: Final = "kubernetes-json-schema/v1.34.0-local-strict"
_WITHOUT: Final = ("Namespace",)  # kinds that may say nothing of themselves
_ROOT: Final = "https://kubernetes.io/api/_definitions.json"


def known(document: Document) -> bool:
    """Whether the kind is one of Kubernetes' own."""
    return (_folder() / _file(document)).is_file()


def wrong(document: Document) -> Wrong:
    """What is wrong with a document of such a kind."""
    schema = json.loads((_folder() / _file(document)).read_text())
    yield from _wrong(schema, document.body, "")
    wanted = document.kind not in _WITHOUT and "spec" in schema["properties"]
    if wanted and not document.body.get("spec"):
        yield "spec", "is missing"


@dataclass(frozen=True)
class Core:
    """A part of a custom resource that Kubernetes itself describes, such as a pod's template."""

    definition: str

    def wrong(self, value: Any, path: str) -> Wrong:  # noqa: ANN401 - any value of YAML
        """See `shape.Shape`."""
        return _wrong({"$ref": f"{_ROOT}#/$defs/{self.definition}"}, value, path)


def _wrong(schema: Mapping[str, Any], value: Any, path: str) -> Wrong:  # noqa: ANN401 - of YAML
    from jsonschema import Draft202012Validator

    for error in Draft202012Validator(schema, registry=_registry()).iter_errors(value):
        yield from _said(error, path)


def _said(error: "ValidationError", path: str) -> Iterator[tuple[str, str]]:
    """An error in our words: each unknown field with the one that was meant."""
    place = path + "".join(
        f"[{one}]" if isinstance(one, int) else f".{one}" for one in error.absolute_path
    )
    if error.validator == "additionalProperties" and isinstance(error.instance, Mapping):
        fields = error.schema.get("properties", {})
        for name in error.instance:
            if name not in fields:
                yield f"{place}.{name}".lstrip("."), unknown(str(name), fields)
    else:
        yield place.lstrip("."), error.message


def _file(document: Document) -> str:
    group, _, version = str(document.body.get("apiVersion", "")).rpartition("/")
    first = f"{group.split('.')[0]}-" if group else ""
    return f"{document.kind.lower()}-{first}{version}.json"


@cache
def _registry() -> Any:  # noqa: ANN401 - the validator's
    from referencing import Registry, Resource

    definitions = json.loads((_folder() / "_definitions.json").read_text())
    return Registry().with_resource(_ROOT, Resource.from_contents(definitions)).crawl()


@cache
def _folder() -> Path:
    """Where the schemas are; their package is not run for that.

    Raises:
        SetupError: `usage`, if it is not installed.
    """
    if (found := find_spec("kubernetes_validate")) is None or found.origin is None:
        message = "manifests are checked by kubernetes-validate: pip install 'reelpage[k8s]'"
        raise SetupError("usage", message)
    return Path(found.origin).parent / _FOLDER
