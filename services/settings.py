"""Settings from the environment, read once; nothing else in reelpage reads it."""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final

from schemas.errors import SetupError

_PREFIX: Final = "REELPAGE_"


@dataclass(frozen=True)
class Settings:
    """What the environment may set; each field is the variable `REELPAGE_<NAME>`.

    Attributes:
        model: folder or address of a Qwen2-VL checkpoint; empty for the one that ships.
        device: torch device of the model, such as "cpu" or "cuda:0"; "auto" for a GPU where torch
            sees one, else the CPU.
        threads: threads of the model on a CPU; 0 leaves the choice to torch.
        lake: where the stream lands, a folder or "s3://bucket/prefix".
        s3_endpoint: URL of the S3 service.
        s3_access_key: its user.
        s3_secret_key: its password.
        s3_session_token: of temporary credentials; else empty.
        s3_region: what requests are signed for.
        s3_ca: file of certificates that sign the service's own; empty for the public ones.
        s3_style: whether a bucket's name stands in the "path" or is a "virtual" host's.
        kafka: addresses of brokers, "host:port,host:port".
        kafka_security: protocol of their listeners.
        kafka_mechanism: of SASL.
        kafka_user: of SASL.
        kafka_password: of SASL.
        kafka_ca: file of certificates that sign the brokers' own; empty for the public ones.
        topic: where jobs are.
        group: consumer group of the workers.
        instance: this worker's name in the group, for static membership; empty for none.
        graph: URL of the model's service.
        lander: URL of the lander; empty for the graph's own.
        secret: what the model's service and the lander ask of whoever calls them.
        stack: name of the stack of this machine to use, where several are up.
        watch: host:port on which a worker or lander answers `/healthz`, `/readyz` and `/metrics`;
            empty for none.
        roots: folders that jobs may name files of.
        sources: buckets, or prefixes in them, that jobs may name objects of.
        max_bytes: of a medium that is downloaded.
        slots: media that a worker decodes at a time.
    """

    model: str = ""
    device: str = "auto"
    threads: int = 0
    lake: str = ""
    s3_endpoint: str = ""
    s3_access_key: str = ""
    s3_secret_key: str = field(default="", repr=False)
    s3_session_token: str = field(default="", repr=False)
    s3_region: str = "us-east-1"
    s3_ca: str = ""
    s3_style: str = "path"
    kafka: str = ""
    kafka_security: str = "PLAINTEXT"
    kafka_mechanism: str = ""
    kafka_user: str = ""
    kafka_password: str = field(default="", repr=False)
    kafka_ca: str = ""
    topic: str = "reelpage"
    group: str = "reelpage"
    instance: str = ""
    graph: str = ""
    lander: str = ""
    secret: str = field(default="", repr=False)
    stack: str = ""
    watch: str = ""
    roots: tuple[Path, ...] = ()
    sources: tuple[str, ...] = ()
    max_bytes: int = 16 << 30
    slots: int = 2

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Settings":
        """Read the settings.

        Raises:
            SetupError: `usage`, for an unknown variable or a value that it cannot have.
        """
        known = {field.name for field in fields(cls)}
        given = {
            name.removeprefix(_PREFIX).lower(): value
            for name, value in environment.items()
            if name.startswith(_PREFIX)
        }
        if unknown := sorted(set(given) - known):
            names = ", ".join(_PREFIX + name.upper() for name in unknown)
            message = f"{names}: no such setting; known are " + ", ".join(
                _PREFIX + name.upper() for name in sorted(known)
            )
            raise SetupError("usage", message)
        return cls(**{name: _read(name, value) for name, value in given.items()})


def _paths(text: str) -> tuple[Path, ...]:
    return tuple(Path(part) for part in text.split(os.pathsep) if part)


def _places(text: str) -> tuple[str, ...]:
    return tuple(part.rstrip("/") for part in text.split(",") if part)


_NAME: Final = (r"[A-Za-z0-9._-]{1,249}", "letters, digits, '.', '_' and '-'")
_BUCKET: Final = r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[^,]*)?"
_URL: Final = (r"(https?://[^/\s@]+)?", "a URL without a path, such as http://127.0.0.1:9000")
_FORMS: Final[Mapping[str, tuple[str, str]]] = {
    "threads": (r"\d+", "a whole number, 0 for torch's choice"),
    "lake": (r"(?!.*://).*|s3://.+", "a folder or s3://bucket/prefix"),
    "s3_endpoint": _URL,
    "s3_region": (r"[A-Za-z0-9_-]+", "a region, such as us-east-1"),
    "s3_style": (r"path|virtual", "path or virtual"),
    "kafka": (r"([^\s,/]+:\d+(,[^\s,/]+:\d+)*)?", "host:port, several with commas between them"),
    "kafka_security": (
        r"PLAINTEXT|SSL|SASL_PLAINTEXT|SASL_SSL",
        "PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL",
    ),
    "kafka_mechanism": (
        r"(PLAIN|SCRAM-SHA-256|SCRAM-SHA-512)?",
        "PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512",
    ),
    "topic": _NAME,
    "group": _NAME,
    "instance": (f"({_NAME[0]})?", _NAME[1]),
    "graph": (r"(https?://\S+)?", "a URL, such as http://127.0.0.1:8000"),
    "lander": (r"(https?://\S+)?", "a URL, such as http://127.0.0.1:8200"),
    "watch": (r"([^\s,/]+:\d+)?", "host:port, such as 127.0.0.1:9400"),
    "secret": (r"([!-~]{16,256})?", "16 to 256 characters, as `openssl rand -hex 32` prints them"),
    "sources": (f"({_BUCKET}(,{_BUCKET})*)?", "s3://bucket/prefix, several with commas between"),
    "max_bytes": (r"[1-9]\d{0,17}", "a number of bytes"),
    "slots": (r"[1-9]\d{0,2}", "a whole number from 1 to 999"),
}
"""What a value has to match, whole, and how to say so."""

_TYPES: Final[Mapping[str, Callable[[str], Any]]] = {
    "threads": int,
    "slots": int,
    "max_bytes": int,
    "roots": _paths,
    "sources": _places,
}
_HIDDEN: Final = frozenset(one.name for one in fields(Settings) if not one.repr)


def _read(name: str, text: str) -> Any:  # noqa: ANN401 - of the field's type
    """A value from its text."""
    pattern, form = _FORMS.get(name, (r".*", ""))
    if not re.fullmatch(pattern, text, re.DOTALL):
        shown = "..." if name in _HIDDEN else repr(text)
        message = f"{_PREFIX}{name.upper()}={shown}: give {form}"
        raise SetupError("usage", message)
    return _TYPES.get(name, str)(text)
