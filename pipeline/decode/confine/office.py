"""Office: the walls around LibreOffice, which has to open its own files; then it takes over."""

import os
import resource
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

from pipeline.decode.confine.confinement import prepare
from pipeline.decode.confine.user import OWN_USER, become_own_user, drop_capabilities

__all__ = ["OWN_USER", "main"]

_CPU_S: Final = 240
_MEMORY: Final = 6 << 30
_FILE: Final = 1 << 30  # bytes
_OPTIONS: Final = ("--headless", "--norestore", "--nolockcheck", "--convert-to", "pdf")


def main() -> None:
    """Put up the walls and become LibreOffice: the arguments are its folder and its program."""
    office, folder = sys.argv.pop(), sys.argv.pop()
    resource.setrlimit(resource.RLIMIT_CPU, (_CPU_S, _CPU_S))
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    resource.setrlimit(resource.RLIMIT_FSIZE, (_FILE, _FILE))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    prepare()
    become_own_user()
    with suppress(OSError):
        drop_capabilities()
    (document,) = Path(folder).glob("document.*")
    profile = f"-env:UserInstallation=file://{folder}/profile"
    os.execv(office, [office, profile, *_OPTIONS, "--outdir", folder, str(document)])
