"""Environment: what a container finds in its variables, as far as the overlay says."""

import base64
from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Final

from schemas.errors import SetupError
from services.k8s.documents import Container, Document, Overlay, Problem
from services.k8s.shape import unknown
from services.settings import Settings

_PREFIX: Final = "REELPAGE_"


def environment(overlay: Overlay, container: Container) -> dict[str, str | None]:
    """Variables by name; None for a value that the overlay does not tell."""
    found: dict[str, str | None] = {}
    for source in container.body.get("envFrom") or []:
        for kind, key in (("ConfigMap", "configMapRef"), ("Secret", "secretRef")):
            if reference := source.get(key):
                prefix = source.get("prefix", "")
                values = _data(overlay.find(kind, reference.get("name", "")))
                found |= {prefix + name: value for name, value in values.items()}
    for one in container.body.get("env") or []:
        found[one["name"]] = one.get("value", "") if "valueFrom" not in one else None
    return found


def _data(document: Document | None) -> dict[str, str | None]:
    """What a ConfigMap or a Secret holds; nothing of one that is not here."""
    if document is None:
        return {}
    if document.kind == "ConfigMap":
        return dict(document.dig("data") or {})
    encoded = document.dig("data") or {}
    return {
        **{name: _decoded(value) for name, value in encoded.items()},
        **(document.dig("stringData") or {}),
    }


def _decoded(value: str) -> str | None:
    try:
        return base64.b64decode(value, validate=True).decode()
    except ValueError:
        return None


def _known() -> set[str]:
    return {_PREFIX + one.name.upper() for one in fields(Settings)}


def _ours(found: Mapping[str, str | None], known: set[str]) -> dict[str, str]:
    return {name: value for name, value in found.items() if name in known and value is not None}


def settings(overlay: Overlay) -> Iterator[Problem]:
    """Variables of ours that no process of ours would start with."""
    known = _known()
    for container in overlay.containers:
        found = environment(overlay, container)
        for name in found:
            if name.startswith(_PREFIX) and name not in known:
                said = unknown(name, known, "setting")
                yield container.problem(f"env.{name}", said)
        try:
            Settings.from_environment(_ours(found, known))
        except SetupError as error:
            yield container.problem("env", error.message)
