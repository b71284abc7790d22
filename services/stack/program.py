"""Program: how one process is run, and asked whether it works."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

START_S: Final = 60.0


def _yes() -> bool:
    return True


def _nothing() -> None:
    pass


@dataclass(frozen=True)
class Program:
    """A process to be run.

    Attributes:
        name: of it and of its log.
        title: what people call it.
        command: program and arguments.
        environment: all of it.
        ports: that it listens on.
        answers: whether it does its work; never raises.
        says: what its log says by then.
        within_s: seconds after its start in which it has to answer.
        grace_s: seconds between SIGTERM and SIGKILL.
        tidy: removes what it leaves behind when it has ended.
    """

    name: str
    title: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    ports: tuple[int, ...] = ()
    answers: Callable[[], bool] = _yes
    says: str = ""
    within_s: float = START_S
    grace_s: float = 2.0
    tidy: Callable[[], None] = _nothing
