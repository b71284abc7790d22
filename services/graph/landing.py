"""Landing: the lander as a deployment of the graph, so that all workers' commits meet in one."""

from typing import Final

from pipeline.land.commit import GroupCommitter
from services.lander.http import COMMIT, LOOK, Message, lander_app
from services.settings import Settings
from services.storage.places import open_place

ROUTES: Final = (LOOK, COMMIT)


class Lander:
    """A process with the committer of the lake's tables."""

    def __init__(self, settings: Settings | None) -> None:
        """Open the lake; None stands for what this process's own environment says."""
        settings = settings or Settings.from_environment()
        self._app = lander_app(GroupCommitter(open_place(settings.lake, settings)))

    async def post(self, path: str, body: bytes) -> tuple[int, bytes]:
        """Status and body of the reply to a request, by the lander's own application."""
        sent: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": body}

        async def send(message: Message) -> None:
            sent.append(message)

        await self._app({"type": "http", "method": "POST", "path": path}, receive, send)
        return sent[0]["status"], sent[1]["body"]
