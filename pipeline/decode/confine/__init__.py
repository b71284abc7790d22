"""Confine: what a child gives up before it sees a byte of a medium.

Whoever takes over a parser through a hostile file shall find nothing to take: no file, no
secret, no network, no process to signal. Several walls stand behind each other, because no
kernel has them all: limits, a user of its own, Landlock, seccomp, a network without interfaces.
"""

from pipeline.decode.confine.confinement import Confinement, confine, prepare

__all__ = ["Confinement", "confine", "prepare"]
