"""Landing: the lander as a deployment of the graph, so that all workers' commits meet in one."""

from pathlib import Path

from pipeline.land.commit import GroupCommitter
from pipeline.land.lake import share
from services.lander.desk import Desk
from services.settings import Settings
from services.storage.places import open_place


class LanderReplica(Desk):
    """A process with the committer of the lake's tables."""

    def __init__(self, settings: Settings | None) -> None:
        """Open the lake; None stands for what this process's own environment says.

        A folder is kept from who wants it alone: a commit of a worker that has ended since could
        land behind his back.

        Raises:
            TransientError: `lake_locked`.
        """
        settings = settings or Settings.from_environment()
        place = open_place(settings.lake, settings)
        if place.is_folder:
            share(Path(place.uri))
        super().__init__(GroupCommitter(place))
