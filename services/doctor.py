"""Doctor: whether this installation can work, check by check."""

import importlib.metadata
import importlib.util
import resource
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pipeline.decode import Confinement, confinement
from pipeline.decode.office import libreoffice
from pipeline.recognise import MODEL as RECOGNISER
from pipeline.recognise import fetched
from pipeline.recognise import revision as recognised_by
from schemas import __version__
from schemas.errors import InputError, ReelpageError
from services.checkpoints.found import checkpoint
from services.machine import total_memory
from services.model.device import AUTO, resolve
from services.model.facts import model_facts
from services.settings import Settings

PACKAGES: Final = ("pipeline", "services", "schemas")
_LEAST_FFMPEG: Final = (62, 12)
_LEAST_MEMORY: Final = 4 << 30
# What a decoding child is held by: attribute, name, what it means if it holds, and if not.
_WALLS: Final = (
    (
        "landlock",
        "landlock",
        "no file but fonts can be opened",
        "not in this kernel, Linux 5.13 brings it; documents go without the fonts of the system",
    ),
    (
        "seccomp",
        "seccomp",
        "no system call but those of decoding",
        "not on this kernel or machine; a decoder that was taken over could start programs",
    ),
    (
        "own_user",
        "own user",
        "nothing belongs to the user of the decoder",
        "only root can give one; the decoder has your user, and the other walls hold it",
    ),
    (
        "own_network",
        "own network",
        "no interface in the decoder's network",
        "not allowed here; seccomp alone keeps the decoder from the network",
    ),
)


@dataclass(frozen=True)
class Check:
    """One check: its name, whether it holds, and what was found or what to do."""

    name: str
    ok: bool
    found: str


def examine(settings: Settings) -> Iterator[Check]:
    """Run all checks."""
    checks: tuple[Callable[[], Check], ...] = (
        _version,
        _shadows,
        _owners,
        _codecs,
        _pdfium,
        lambda: _model(settings),
        _recogniser,
        _office,
        lambda: _device(settings),
        _memory,
        _disk,
    )
    for check in checks:
        yield check()
    yield from _walls()


def _version() -> Check:
    return Check("reelpage", True, __version__)


def _shadows() -> Check:
    home = Path(__file__).resolve().parents[1]
    for name in PACKAGES:
        spec = importlib.util.find_spec(name)
        origin = Path(spec.origin or "").resolve().parents[1] if spec and spec.origin else None
        if origin != home:
            return Check("packages", False, f"{name} comes from {origin}, not {home}")
    return Check("packages", True, str(home))


def _owners() -> Check:
    owners = importlib.metadata.packages_distributions()
    for name in PACKAGES:
        others = sorted(set(owners.get(name, [])) - {"reelpage"})
        if others:
            text = f"{name} is also installed by {', '.join(others)}; use an environment of its own"
            return Check("distributions", False, text)
    return Check("distributions", True, "no other package uses our names")


def _codecs() -> Check:
    import av
    from av.codec import Codec

    wanted = ("h264", "hevc", "vp8", "vp9", "av1", "mpeg4", "theora")
    missing = [name for name in wanted if not _has_decoder(Codec, name)]
    version = av.library_versions["libavcodec"]
    found = f"PyAV {av.__version__}, libavcodec {'.'.join(map(str, version))}"
    if missing:
        return Check("codecs", False, f"{found}; missing: {', '.join(missing)}")
    if av.library_versions["libavformat"][:2] < _LEAST_FFMPEG:
        return Check("codecs", False, f"{found}: older than FFmpeg 8.1, upgrade av")
    return Check("codecs", True, f"{found}; {', '.join(wanted)}")


def _has_decoder(codec: type, name: str) -> bool:
    try:
        codec(name, "r")
    except ValueError:
        return False
    return True


def _pdfium() -> Check:
    return Check("pdfium", True, f"pypdfium2 {importlib.metadata.version('pypdfium2')}")


def _model(settings: Settings) -> Check:
    try:
        facts = model_facts(checkpoint(settings).folder)
    except ReelpageError as error:
        return Check("model", False, error.message)
    return Check("model", True, f"{facts.name}, revision {facts.revision}")


def _recogniser() -> Check:
    try:
        more = "".join(f", {one.name}" for one in fetched())
        return Check("recogniser", True, f"{RECOGNISER}{more}, revision {recognised_by()}")
    except ReelpageError as error:
        return Check("recogniser", False, error.message)


def _office() -> Check:
    lacking = "no LibreOffice here: Office documents fail, export them as PDF or install it"
    return Check("office", True, libreoffice() or lacking)


def _device(settings: Settings) -> Check:
    import torch

    from pipeline.vlm.device import check_device

    meant = resolve(settings.device)
    try:
        check_device(meant)
    except ReelpageError as error:
        return Check("device", False, error.message)
    shown = f"{settings.device}, here {meant}" if settings.device == AUTO else meant
    return Check("device", True, f"{shown}, torch {torch.__version__}")


def _memory() -> Check:
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    total = total_memory()
    least = total if limit == resource.RLIM_INFINITY else min(total, limit)
    return Check("memory", least >= _LEAST_MEMORY, f"{least / 2**30:.1f} GiB, 4 are wanted")


def _disk() -> Check:
    free = shutil.disk_usage(Path.cwd()).free
    return Check("disk", free > 1 << 30, f"{free / 2**30:.1f} GiB free here, 1 is wanted")


def _walls() -> Iterator[Check]:
    """What a real child could reach, and each wall that should have stopped it."""
    try:
        found = confinement()
    except InputError as error:
        yield Check("sandbox", False, f"no decoder starts here: {error.message}")
        return
    yield sandbox(found)
    for attribute, name, holds, lacks in _WALLS:
        yield Check(name, True, holds if getattr(found, attribute) else lacks)


def sandbox(found: Confinement) -> Check:
    """Whether a child is kept from secrets, whatever it is that keeps it."""
    if found.reads:
        text = f"a decoder can read {', '.join(found.reads)}; index only media that you trust"
        return Check("sandbox", False, text)
    network = "and reach no network" if not found.network else "but could reach the network"
    return Check("sandbox", True, f"a decoder can read no secret {network}")
