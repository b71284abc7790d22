"""Soffice: the process that becomes LibreOffice, started by `office`, never by hand."""

import json
import sys
from pathlib import Path
from typing import Final

from pipeline.decode.confine.program import become
from pipeline.decode.office import FILTERS

# No macro runs, no link is followed, whatever the document asks for.
_SETTINGS: Final[dict[str, dict[str, int | str]]] = {
    "Common/Security/Scripting": {
        "MacroSecurityLevel": 3,
        "DisableMacrosExecution": "true",
        "BlockUntrustedRefererLinks": "true",
        "DisableActiveContent": "true",
    },
    "Writer/Content/Update": {"Link": 0},
    "Calc/Content/Update": {"Link": 2},
}
_ITEM: Final = (
    '<item oor:path="/org.openoffice.Office.{}"><prop oor:name="{}" oor:op="fuse">'
    "<value>{}</value></prop></item>"
)
_FILE: Final = (
    '<?xml version="1.0" encoding="UTF-8"?>'
    '<oor:items xmlns:oor="http://openoffice.org/2001/registry" '
    'xmlns:xs="http://www.w3.org/2001/XMLSchema" '
    'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">{}</oor:items>'
)


def main() -> None:
    """Convert one document, as the only argument says."""
    order = json.loads(sys.argv[-1])
    folder, kind = Path(order["folder"]), order["kind"]
    _write_settings(folder / "profile")
    filter_in, filter_out = FILTERS[kind]
    become(
        order["program"],
        [
            "-env:UserInstallation=file://{}/profile",
            *("--headless", "--norestore", "--nologo", "--nolockcheck"),
            f"--infilter={filter_in}",
            *("--convert-to", f"pdf:{filter_out}", "--outdir", "{}", f"{{}}/medium.{kind}"),
        ],
        folder,
        memory_bytes=order["memory_bytes"],
        cpu_s=order["cpu_s"],
    )


def _write_settings(profile: Path) -> None:
    user = profile / "user"
    user.mkdir(parents=True)
    items = (
        _ITEM.format(place, name, value)
        for place, values in _SETTINGS.items()
        for name, value in values.items()
    )
    (user / "registrymodifications.xcu").write_text(_FILE.format("".join(items)))
    for made in (profile, user, user / "registrymodifications.xcu"):
        made.chmod(0o777)  # the process is another user by then; nobody else gets to the folder
