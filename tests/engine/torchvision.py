"""Torchvision of PyPI beside a torch for CPUs: `python -m tests.engine.torchvision`.

PyPI's is built for CUDA; beside a torch without CUDA its library cannot be loaded, and its import
fails where it describes two operators of that library. vLLM imports it for pictures, and is given
none here, so it is enough that these operators have a name.
"""

import subprocess
import sys
import sysconfig
from pathlib import Path

NAMES = """
if not _has_ops():  # added by reelpage's tests
    from torch import library as _library
    _named = _library.Library("torchvision", "DEF")
    for _name in ("nms", "qnms"):
        _named.define(f"{_name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
"""


def main() -> None:
    done = subprocess.run([sys.executable, "-c", "import torchvision"], capture_output=True)
    if b"torchvision::nms does not exist" in done.stderr:
        with Path(sysconfig.get_path("purelib"), "torchvision", "extension.py").open("a") as file:
            file.write(NAMES)


if __name__ == "__main__":
    main()
