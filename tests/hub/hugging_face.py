"""A server that speaks as much of the Hugging Face hub's protocol as its client asks for."""

import hashlib
import http.server
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

COMMIT: Final = "8f3a" * 10
NAME: Final = "someone/tiny-pages"
_CHUNK: Final = 1 << 16


@dataclass
class Hub:
    """One repository of a folder's files, and what goes wrong with it.

    Attributes:
        files: its content.
        gated: whether it is for those who accepted its terms.
        drops: how many downloads of weights still end in their middle.
        lies: whether weights are others than their digest says.
        ranges: of weights that were asked for.
        url: where it answers.
    """

    files: dict[str, bytes]
    gated: bool = False
    drops: int = 0
    lies: bool = False
    ranges: list[str] = field(default_factory=list)
    url: str = ""

    @classmethod
    def of_folder(cls, folder: Path) -> "Hub":
        return cls({path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()})

    def tree(self) -> list[dict[str, object]]:
        """As `/api/models/{name}/tree/{commit}` has it; weights are large files of git."""
        return [self._entry(name, data) for name, data in self.files.items()]

    def _entry(self, name: str, data: bytes) -> dict[str, object]:
        entry: dict[str, object] = {"type": "file", "path": name, "size": len(data)}
        if not name.endswith(".safetensors"):
            return entry | {"oid": blob(data)}
        large = {"oid": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 134}
        return entry | {"oid": blob(b"pointer"), "lfs": large}


def blob(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


@contextmanager
def serving(hub: Hub) -> Iterator[Hub]:
    class Handler(_Handler):
        pass

    Handler.hub = hub
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        hub.url = f"http://127.0.0.1:{server.server_port}"
        yield hub
        server.shutdown()


class _Handler(http.server.BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        api = re.fullmatch(rf"/api/models/{NAME}(?:/(revision|tree)/([^/]+))?", path)
        file = re.fullmatch(rf"/{NAME}/resolve/{COMMIT}/(.+)", path)
        if self.hub.gated:
            self._refuse(401, "GatedRepo")
        elif api and api[2] not in (None, "main", COMMIT):
            self._refuse(404, "RevisionNotFound")
        elif api:
            info = {"id": NAME, "sha": COMMIT, "siblings": []}
            self._reply(json.dumps(self.hub.tree() if api[1] == "tree" else info).encode(), {})
        elif file and file[1] in self.hub.files:
            self._file(file[1])
        else:
            self._refuse(404, "RepoNotFound")

    def _file(self, name: str) -> None:
        data, headers = self.hub.files[name], {"X-Repo-Commit": COMMIT, "ETag": f'"{name}"'}
        if name.endswith(".safetensors"):
            headers |= {
                "X-Linked-ETag": f'"{hashlib.sha256(data).hexdigest()}"',
                "X-Linked-Size": str(len(data)),
            }
            if self.hub.lies:
                data = data[:-1] + bytes([data[-1] ^ 1])
        else:
            headers["ETag"] = f'"{blob(data)}"'
        self._reply(data, headers, weights=name.endswith(".safetensors"))

    def _reply(self, data: bytes, headers: dict[str, str], weights: bool = False) -> None:
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        first, total = int(asked[1]) if asked else 0, len(data)
        self.send_response(206 if asked else 200)
        for name, value in headers.items():
            self.send_header(name, value)
        if asked:
            self.send_header("Content-Range", f"bytes {first}-{total - 1}/{total}")
        data = data[first:]
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command == "HEAD":
            return
        if weights:
            self.hub.ranges.append(self.headers.get("Range", ""))
            if self.hub.drops:
                self.hub.drops -= 1
                self.close_connection = True
                data = data[: len(data) // 2]
        self.wfile.write(data)

    def _refuse(self, status: int, code: str) -> None:
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        self.send_header("X-Error-Message", "no")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass
