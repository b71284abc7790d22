"""User: the process gives away who it is and what it may, as far as it can."""

import ctypes
import os
import struct
from contextlib import suppress
from typing import Final

from pipeline.decode.confine.kernel import call

OWN_USER: Final = 65533  # the last before `nobody`: no file and no other process is its
_CAPABILITIES_V3: Final = 0x20080522


def become_own_user() -> bool:
    """Root becomes a user to whom nothing belongs, and loses all capabilities by that.

    Returns:
        Whether it holds: the process was root and the user could be taken.
    """
    if os.geteuid() != 0:
        return False
    try:
        os.setgroups([])
        os.setgid(OWN_USER)
        os.setuid(OWN_USER)  # by root: real, effective and saved
    except OSError:
        return False
    return True


def drop_capabilities() -> None:
    """Give up what a user namespace or a container may have lent; what is left of it."""
    header = ctypes.create_string_buffer(struct.pack("=Ii", _CAPABILITIES_V3, 0))
    none = ctypes.create_string_buffer(24)
    with suppress(OSError):
        call("capset", ctypes.addressof(header), ctypes.addressof(none))
