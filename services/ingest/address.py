"""Address: what may be fetched of all that stands where a URL is expected."""

import ipaddress
import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import SplitResult, quote, urlsplit

from pipeline.consume import masked, quoted
from schemas.errors import InputError

_PORTS: Final = {"http": 80, "https": 443}
_HOST: Final = re.compile(r"[\w.:%~-]+", re.ASCII)
_KEPT: Final = "%/:=&?~#+!$,;'@()*[]"  # in a path and a query; all else is escaped
_SPECIAL: Final = tuple(
    map(
        ipaddress.IPv6Network,
        (
            "::/96",  # IPv4-compatible
            "64:ff9b:1::/48",  # NAT64 of one network
            "2001::/32",  # Teredo
            "fec0::/10",  # site-local
        ),
    )
)
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")


@dataclass(frozen=True)
class Address:
    """Where to connect to, and what to ask for there.

    Attributes:
        scheme: "http" or "https".
        host: name or number, ASCII.
        port: of the host.
        target: path and query, ASCII.
    """

    scheme: str
    host: str
    port: int
    target: str


def address_of(url: str) -> Address:
    """Read a URL.

    Raises:
        InputError: `url_refused`, for everything that is no address of a public file.
    """
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").encode("idna").decode()
        target = quote(parts.path or "/", _KEPT) + (
            f"?{quote(parts.query, _KEPT)}" if parts.query else ""
        )
        port = parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError as error:
        raise _refused(url, f"is no address ({error})") from error
    _check(url, parts, host)
    return Address(parts.scheme, host, port, target)


def _check(url: str, parts: SplitResult, host: str) -> None:
    if parts.scheme not in _PORTS or not host:
        raise _refused(url, "only http:// and https:// addresses and paths can be read here")
    if not _HOST.fullmatch(host):
        raise _refused(url, "is no address: no host has such a name")
    if "@" in parts.netloc:
        raise _refused(url, "names a user; give an address that anybody may read")


def _refused(url: str, why: str) -> InputError:
    return InputError("url_refused", f"{quoted(masked(url))}: {quoted(why)}")


def is_public(address: str) -> bool:
    """Whether an IP address is one of the public internet, and the IPv4 address inside it too."""
    ip: ipaddress.IPv4Address | ipaddress.IPv6Address
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        if inner := _inner(ip):
            ip = inner
        elif any(ip in network for network in _SPECIAL):
            return False
    return ip.is_global and not ip.is_multicast


def _inner(ip: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address that packets to this one end at: mapped, 6to4 or NAT64."""
    if ip in _NAT64:
        return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour
