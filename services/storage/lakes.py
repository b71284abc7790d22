"""Lakes: the lake of a stream, for processes of which each is one of several."""

from pathlib import Path

from pipeline.land.lake import share
from pipeline.land.place import Place
from pipeline.land.tables import check_version
from schemas.errors import SetupError
from services.patience import patiently
from services.settings import Settings
from services.storage.places import open_place, probe


def open_shared(settings: Settings) -> Place:
    """The lake, for one process of several; waits while the store or who has it alone is there.

    Raises:
        SetupError: see `open_lake`.
    """
    place = patiently(lambda: open_lake(settings))
    if place.is_folder:
        patiently(lambda: share(Path(place.uri)))
    return place


def open_lake(settings: Settings) -> Place:
    """The lake that the settings name, made where it is missing.

    Raises:
        SetupError: `usage`, `store_unsafe`, `lake_newer`, `lake_older`, or what the store says.
        TransientError: the store does not answer.
    """
    if not settings.lake:
        message = "no lake is named: set REELPAGE_LAKE=s3://bucket/prefix"
        raise SetupError("usage", message)
    place = open_place(settings.lake, settings)
    probe(place)
    check_version(place, write=True)
    return place
