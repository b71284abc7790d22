"""Requirements of an image, from pyproject.toml: `python requirements.py ingest|serve`."""

import re
import sys
import tomllib
from pathlib import Path

MODEL = ("safetensors", "torch", "transformers")
"""What runs models; workers ask the graph, and never import them."""
EXTRAS = {"ingest": (), "serve": ("cluster", "modelscope")}


def requirements(image: str) -> list[str]:
    """What pip has to install, a line each."""
    project = tomllib.loads(Path("pyproject.toml").read_text())["project"]
    wanted = list(project["dependencies"])
    for extra in EXTRAS[image]:
        wanted += project["optional-dependencies"][extra]
    left_out = () if image == "serve" else MODEL
    return [one for one in wanted if re.split(r"[\[<>=!~ ]", one)[0] not in left_out]


if __name__ == "__main__":
    print("\n".join(requirements(sys.argv[1])))
