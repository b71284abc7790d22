"""Confinement: the walls around a child, in the order in which they can be put up."""

import os
import signal
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from pipeline.decode.confine.kernel import call
from pipeline.decode.confine.landlock import refuse_files
from pipeline.decode.confine.seccomp import refuse_calls
from pipeline.decode.confine.user import become_own_user, drop_capabilities

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_DUMPABLE: Final = 4
_PR_SET_NO_NEW_PRIVS: Final = 38
_CLONE_NEWUSER: Final = 0x10000000
_CLONE_NEWNET: Final = 0x40000000
# Where pdfium looks for the fonts that a document lacks: all that a child may open.
_FONTS: Final = (
    "/usr/share/fonts",
    "/usr/share/X11/fonts/Type1",
    "/usr/share/X11/fonts/TTF",
    "/usr/local/share/fonts",
)


@dataclass(frozen=True)
class Confinement:
    """What holds a child on this machine.

    Attributes:
        own_network: it is in a network without interfaces.
        own_user: it runs as a user to whom nothing belongs.
        landlock: version of Landlock that refuses it all files but fonts; 0 if none does.
        seccomp: it is refused all system calls but those that decoding needs.
        reads: files that it was asked to read, for a trial, and could.
        network: whether, in a trial, it could reach the network.
    """

    own_network: bool
    own_user: bool
    landlock: int
    seccomp: bool
    reads: tuple[str, ...] = ()
    network: bool = False


def prepare() -> bool:
    """What the zygote gives up for itself and for all its children.

    Returns:
        Whether it has a network of its own, with no interface in it.
    """
    _without_dumps()
    with suppress(OSError):
        call("prctl", _PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    # Root leaves the user namespace as it is: a child could not become another user in a new one.
    lender = 0 if os.geteuid() == 0 else _CLONE_NEWUSER
    try:
        call("unshare", lender | _CLONE_NEWNET)
    except OSError:
        return False
    return True


def confine(parent: int, *, own_network: bool) -> Confinement:
    """Put up the walls around this process; none of them can be taken down again.

    Args:
        parent: the process that it must not outlive.
        own_network: what `prepare` said.
    """
    own_user = become_own_user()
    drop_capabilities()
    _die_with(parent)  # a change of user would undo this and the next
    _without_dumps()
    landlock = refuse_files(but=_FONTS)
    seccomp = refuse_calls(opening=landlock > 0)  # Landlock says which; without it none
    return Confinement(own_network, own_user, landlock, seccomp)


def _without_dumps() -> None:
    """No core dump, no ptrace; and /proc/PID/environ and memory belong to root from now on."""
    with suppress(OSError):
        call("prctl", _PR_SET_DUMPABLE, 0, 0, 0, 0)


def _die_with(parent: int) -> None:
    with suppress(OSError):
        call("prctl", _PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)
