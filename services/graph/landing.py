"""Landing: the lander as a deployment of the graph, so that all workers' commits meet in one."""

from pipeline.land.commit import GroupCommitter
from services.lander.app import Desk
from services.settings import Settings
from services.storage.places import open_place


class LanderReplica(Desk):
    """A process with the committer of the lake's tables."""

    def __init__(self, settings: Settings | None) -> None:
        """Open the lake; None stands for what this process's own environment says."""
        settings = settings or Settings.from_environment()
        super().__init__(GroupCommitter(open_place(settings.lake, settings)))
