"""Recognising: text in shards by replicas of their own, scaled by the shards that wait for them.

They run on processors, so that reading keeps no GPU waiting and no worker that decodes.
"""

from collections.abc import Sequence

from ray.serve.handle import DeploymentHandle

from pipeline.decode import pixels
from pipeline.recognise import Recogniser, ShardText, shard_text
from pipeline.recognise import revision as recognised_by
from schemas.errors import TransientError
from services.graph.asking import Questions
from services.graph.batches import Batches
from services.graph.blame import end_process
from services.graph.replicas import Queued
from services.graph.shards import shard_of
from services.settings import Settings
from services.storage.places import open_place


class RecogniserReplica(Queued):
    """A process with the recogniser. It gets shards from the lake itself, one at a time."""

    def __init__(self, settings: Settings | None) -> None:
        """Check the models; None stands for what this process's own environment says.

        Raises:
            SetupError: `model_missing`.
        """
        super().__init__()
        settings = settings or Settings.from_environment()
        self._objects = open_place(settings.lake, settings).objects
        self._reader = Recogniser(settings.threads)
        self._revision = recognised_by()
        self.queue = Batches(self._read, lambda _: 1, 1, lambda name: name, end_process)

    async def read(self, name: str, revision: str) -> ShardText:
        """The text of a shard.

        Raises:
            TransientError: `model_changed`: workers and replicas have other models.
        """
        if revision != self._revision:
            message = (
                f"the question is for revision {revision} of the recogniser, and this is revision "
                f"{self._revision}: workers and graph need the same rapidocr and models"
            )
            raise TransientError("model_changed", message)
        with self.meters.asked():
            text: ShardText = await self.queue.submit(name)
        return text

    def _read(self, names: Sequence[str]) -> list[ShardText]:
        return [shard_text(shard_of(self._objects, name), pixels, self._reader) for name in names]


class Recognising:
    """How the ingress has text read."""

    def __init__(self, recogniser: "DeploymentHandle[RecogniserReplica]") -> None:
        self._recogniser = recogniser
        self._questions = Questions()

    async def read(self, name: str, revision: str) -> ShardText:
        """The text of a shard, by the recogniser of this revision."""

        async def once() -> ShardText:
            text: ShardText = await self._recogniser.read.remote(name, revision)
            return text

        return await self._questions.ask(once)
