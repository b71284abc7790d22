"""Render: an overlay by `kubectl kustomize`, which needs no cluster."""

import shutil
import subprocess
from pathlib import Path
from typing import Final

import yaml

from schemas.errors import SetupError
from services.k8s.documents import Document

_KUBECTL: Final = "kubectl"
_PATIENCE_S: Final = 120.0


def program(path: str = "") -> str:
    """Where kubectl is.

    Args:
        path: that was given; empty for the one that is found.

    Raises:
        SetupError: `usage`.
    """
    found = shutil.which(path or _KUBECTL)
    if found is None:
        message = (
            f"{path or _KUBECTL}: there is no such program; install kubectl "
            "(https://kubernetes.io/docs/tasks/tools), or say where it is: --kubectl PATH"
        )
        raise SetupError("usage", message)
    return found


def render(overlay: Path, kubectl: str) -> list[Document]:
    """The documents of an overlay.

    Args:
        overlay: a folder with a `kustomization.yaml`.
        kubectl: the program.

    Raises:
        SetupError: `usage`, with what kubectl says of an overlay that it cannot render.
    """
    command = [kubectl, "kustomize", str(overlay)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_PATIENCE_S)
    if done.returncode:
        message = f"{overlay}: kubectl kustomize: {' '.join(done.stderr.split())}"
        raise SetupError("usage", message)
    return read(done.stdout)


def read(text: str) -> list[Document]:
    """The documents in a text of YAML."""
    return [Document(body) for body in yaml.safe_load_all(text) if body]
