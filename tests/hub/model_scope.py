"""A ModelScope of our own: as much of its HTTP as its client asks for."""

import hashlib
import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

COMMIT: Final = "c0de" * 10
NAME: Final = "someone/tiny-pages"


@dataclass
class Hub:
    """One repository, what goes wrong with it, and what was asked for."""

    files: dict[str, bytes]
    status: int = 200
    drops: int = 0
    lies: bool = False
    revisions: list[str] = field(default_factory=list)
    ranges: list[str] = field(default_factory=list)
    url: str = ""

    def listing(self) -> list[dict[str, Any]]:
        return [
            {
                "Path": name,
                "Name": name,
                "Type": "blob",
                "Size": len(data),
                "Sha256": hashlib.sha256(data).hexdigest(),
                "Revision": COMMIT if name == "config.json" else "0" * 40,
                "CommittedDate": 2 if name == "config.json" else 1,
            }
            for name, data in self.files.items()
        ]


class _Handler(http.server.BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        asked = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(asked.query).items()}
        if self.hub.status != 200:
            self._reply(self.hub.status, self._said({}, self.hub.status))
        elif query.get("Revision") not in ("master", COMMIT):
            self._reply(404, self._said({}, 404))
        elif asked.path == f"/api/v1/models/{NAME}/repo/files":
            self._reply(200, self._said({"Files": self.hub.listing()}, 200))
        elif asked.path == f"/api/v1/models/{NAME}/repo" and query["FilePath"] in self.hub.files:
            self.hub.revisions.append(query["Revision"])
            self._file(query["FilePath"])
        else:
            self._reply(404, self._said({}, 404))

    def _said(self, data: dict[str, Any], code: int) -> bytes:
        ok = code == 200
        said = {"Code": code, "Success": ok, "Message": "" if ok else "no", "Data": data}
        return json.dumps(said).encode()

    def _file(self, name: str) -> None:
        data, weights = self.hub.files[name], name.endswith(".safetensors")
        if weights and self.hub.lies:
            data = data[:-1] + bytes([data[-1] ^ 1])
        asked = self.headers.get("Range", "")
        first = int(asked.removeprefix("bytes=").partition("-")[0]) if asked else 0
        if weights:
            self.hub.ranges.append(asked)
        drop = weights and self.hub.drops > 0
        self.hub.drops -= drop
        total = len(data)
        self._reply(
            206 if asked else 200,
            data[first:],
            {"Content-Range": f"bytes {first}-{total - 1}/{total}"} if asked else {},
            drop=drop,
        )

    def _reply(
        self, status: int, data: bytes, headers: dict[str, str] | None = None, drop: bool = False
    ) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data[: len(data) // 2] if drop else data)
        self.close_connection = drop

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serving(folder: Path) -> Iterator[Hub]:
    """A hub with the files of a folder as its one repository."""

    class Handler(_Handler):
        hub = Hub({path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()})

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        Handler.hub.url = f"http://127.0.0.1:{server.server_port}"
        yield Handler.hub
        server.shutdown()


def home(hub: Hub, folder: Path) -> dict[str, str]:
    """A machine's environment on which nothing is cached."""
    return {
        "MODELSCOPE_ENDPOINT": hub.url,
        "MODELSCOPE_CACHE": str(folder / "ms"),
        "MODELSCOPE_HOME": str(folder / "home"),
        "XDG_CACHE_HOME": str(folder / "cache"),
    }
