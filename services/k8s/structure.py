"""Structure: each document by itself, against what its kind may hold."""

from collections.abc import Iterator, Mapping
from typing import Final

from services.k8s import core, others, ray, scaling
from services.k8s.core import Core
from services.k8s.documents import Document, Problem
from services.k8s.shape import Shape, Wrong

_KINDS: Final[Mapping[str, Mapping[str, Shape]]] = {
    "ray.io/v1": ray.SHAPES,
    "keda.sh/v1alpha1": scaling.SHAPES,
    **others.SHAPES,
}
_METADATA: Final = Core("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta")
_TOP: Final = ("apiVersion", "kind", "metadata", "spec")


def structure(document: Document) -> Iterator[Problem]:
    """What is wrong with a document."""
    for path, what in _wrong(document):
        yield document.problem(path, what)
    if not document.name:
        yield document.problem("metadata.name", "is missing")


def _wrong(document: Document) -> Wrong:
    version = str(document.body.get("apiVersion", ""))
    if shape := _KINDS.get(version, {}).get(document.kind):
        yield from _custom(document, shape)
    elif core.known(document):
        yield from core.wrong(document)
    else:
        yield "kind", f"{version} {document.kind}: no such kind is known; {_remedy(document)}"


def _custom(document: Document, shape: Shape) -> Wrong:
    for name in document.body:
        if name not in _TOP:
            yield name, f"no such field; known are {', '.join(_TOP)}"
    yield from _METADATA.wrong(document.body.get("metadata"), "metadata")
    yield from shape.wrong(document.body.get("spec"), "spec")


def _remedy(document: Document) -> str:
    versions = [version for version, kinds in _KINDS.items() if document.kind in kinds]
    if versions:
        return f"use apiVersion {versions[0]}"
    return "check its spelling, or describe it in services/k8s"
