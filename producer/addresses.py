"""Which addresses may be posted to: anywhere in the public Internet, and nowhere else, unless the operator says so.

Checked twice: when an address is registered, and at each send, where the name is looked up once, every address that it
has is checked, and the connection is made to one of those (`worker/posting.py`). A name that has another answer the
next time (DNS rebinding) gains nothing.

What a caller is told is one sentence, whatever the reason: else it could learn from us what lives in our network.
"""

from __future__ import annotations

import ipaddress
import re
import socket
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from urllib.parse import urlsplit

from producer.errors import UnsafeUrl

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
LookUp = Callable[[str, int], Sequence[Address]]

DEFAULT_PORTS = frozenset({443, 8443})
LONGEST_URL = 2048
_LONGEST_HOST = 253
_LOOK_UP_S = 3.0

# Not trusted to `is_global` alone: Python 3.11 calls 224.0.0.1 and the NAT64 form of 127.0.0.1 global.
_DENIED: tuple[Network, ...] = tuple(
    ipaddress.ip_network(network)
    for network in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # carrier-grade NAT; some clouds' metadata
        "127.0.0.0/8",  # loopback
        "168.63.129.16/32",  # Azure's own services for a machine
        "169.254.0.0/16",  # link-local; most clouds' metadata
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",  # private
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
        "2001::/23",  # protocol assignments, Teredo
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4: an IPv4 address inside
        "3fff::/20",  # documentation
    )
)
# All public IPv6 addresses begin so. Outside are loopback, link-local, private and multicast ones, and all forms that
# carry an IPv4 address past whoever looks for one: ::a.b.c.d, ::ffff:0:a.b.c.d, NAT64 (64:ff9b::/96, 64:ff9b:1::/48).
_PUBLIC_V6 = IPv6Network("2000::/3")

# Strict on purpose: two programs that read one URL in two ways are how such checks are got round. No userinfo, no
# fragment, no backslash, no space, no percent sign in the host.
_URL = re.compile(
    r"(?P<scheme>https?)://(?P<host>\[[0-9a-f:.]+\]|[^\x00-\x20\x7f\[\]/?#@:\\%]+)(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<target>[/?][!$-;=?-\[\]_a-z~&%]*)?",
    re.I,
)
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")


@dataclass(frozen=True)
class Policy:
    """What the operator allows. networks: of private receivers, which may also use plain http and any port.

    ports: of all others. http: whether those may do without TLS.
    """

    networks: tuple[Network, ...] = ()
    ports: frozenset[int] = DEFAULT_PORTS
    http: bool = False

    @classmethod
    def of(cls, networks: str, ports: str, http: str) -> Policy:
        """Read it from the settings: networks and ports joined by commas, http `on` or `off`. Raises: ValueError."""
        read = tuple(ipaddress.ip_network(part.strip()) for part in networks.split(",") if part.strip())
        return cls(read, frozenset(int(port) for port in ports.split(",")), http == "on")

    def allows(self, address: Address) -> bool:
        """Whether an address lies in one of the networks of private receivers."""
        return any(address in network for network in self.networks)


@dataclass(frozen=True)
class Receiver:
    """An address that was read. host: ASCII, lower case, without brackets; target: path and query."""

    scheme: str
    host: str
    port: int
    target: str
    literal: Address | None

    @property
    def host_header(self) -> str:
        """The value of the header `Host`."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.scheme == "https" else 80) else f"{host}:{self.port}"


def parse(url: str) -> Receiver:
    """Read a URL, strictly. Raises: UnsafeUrl."""
    if len(url) > LONGEST_URL:
        raise UnsafeUrl(f"over {LONGEST_URL} characters")
    found = _URL.fullmatch(url)
    if found is None:
        raise UnsafeUrl("not an http(s) URL of the strict form, or with userinfo or a fragment")
    scheme, target = found["scheme"].lower(), found["target"] or "/"
    port = int(found["port"] or (443 if scheme == "https" else 80))
    if not 0 < port < 2**16:
        raise UnsafeUrl(f"port {port}")
    host, literal = _host(found["host"])
    # The standard library reads it in the same way, or we do not trust our own reading.
    plain = urlsplit(url)
    if (
        plain.username is not None
        or plain.password is not None
        or (plain.hostname or "") != found["host"].strip("[]").lower()
    ):
        raise UnsafeUrl("read in two ways")
    return Receiver(scheme, host, port, target if target[0] == "/" else "/" + target, literal)


def _host(text: str) -> tuple[str, Address | None]:
    """Return a host in ASCII, and the address if that is what it is. Raises: UnsafeUrl."""
    if text[0] == "[":
        try:
            literal: Address = IPv6Address(text[1:-1])
        except ValueError:
            raise UnsafeUrl("no IPv6 address") from None
        return str(literal), literal
    host = text.lower()
    if not host.isascii():
        host = _ascii(host)
    if len(host) > _LONGEST_HOST or not all(_LABEL.fullmatch(label) for label in host.split(".")):
        raise UnsafeUrl("no host name")
    if _NUMBER.fullmatch(host.rpartition(".")[2]):
        # What ends in a number is an address (WHATWG URL §3.5), and only a.b.c.d in decimals is read alike by all.
        try:
            return host, IPv4Address(host)
        except ValueError:
            raise UnsafeUrl("an IPv4 address in an odd form") from None
    return host, None


def _ascii(host: str) -> str:
    """Return an international name in ASCII (IDNA), if it is the same again when read back.

    Refused are those that the two versions of IDNA read differently (ß), full-width letters and digits, and other dots
    than the one. Raises: UnsafeUrl.
    """
    try:
        encoded = host.encode("idna").decode("ascii")
        if encoded.encode("ascii").decode("idna") != host:
            raise UnsafeUrl("a name that reads back as another one")
    except UnicodeError:
        raise UnsafeUrl("no international name") from None
    return encoded


def is_public(address: Address) -> bool:
    """Whether an address is one of the public Internet, and carries no other one inside."""
    if isinstance(address, IPv6Address) and address not in _PUBLIC_V6:
        return False
    return address.is_global and not address.is_multicast and not any(address in network for network in _DENIED)


def checked(receiver: Receiver, found: Iterable[Address], policy: Policy) -> list[Address]:
    """Return the addresses that a receiver's name has, if every one of them may be posted to.

    One bad one among them refuses all: whoever controls a name could have us try until the bad one comes first.

    Raises: UnsafeUrl.
    """
    addresses = [_unmapped(address) for address in found]
    if not addresses:
        raise UnsafeUrl(f"{receiver.host} has no address")
    if all(policy.allows(address) for address in addresses):
        return addresses
    for address in addresses:
        if not is_public(address) and not policy.allows(address):
            raise UnsafeUrl(f"{receiver.host} is {address}, which is not public")
    if receiver.scheme != "https" and not policy.http:
        raise UnsafeUrl("not https")
    if receiver.port not in policy.ports:
        raise UnsafeUrl(f"port {receiver.port}")
    return addresses


def _unmapped(address: Address) -> Address:
    """Return the IPv4 address that ::ffff:a.b.c.d means, which is where the kernel would connect to."""
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


def look_up(host: str, port: int) -> list[Address]:
    """Return the addresses of a name, as the system finds them; that may take long. Raises: OSError."""
    try:
        rows = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as error:  # a label that is too long, say
        raise OSError(str(error)) from error
    return list(dict.fromkeys(ipaddress.ip_address(str(row[4][0])) for row in rows))


def check(url: str, policy: Policy, find: LookUp = look_up, timeout_s: float = _LOOK_UP_S) -> Receiver:
    """Read a URL and check every address that its name has now, for whoever registers it. Raises: UnsafeUrl.

    A name that cannot be looked up within `timeout_s` is refused, too.
    """
    receiver = parse(url)
    if receiver.literal is not None:
        checked(receiver, [receiver.literal], policy)
        return receiver
    found: list[Address] = []
    failed: list[str] = []

    def ask() -> None:
        try:
            found.extend(find(receiver.host, receiver.port))
        except OSError as error:
            failed.append(str(error))

    # A thread, because nothing else ends a look-up in time; a daemon, because it may hang.
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(timeout_s)
    if thread.is_alive() or failed:
        raise UnsafeUrl(f"{receiver.host} was not found: {'in time' if thread.is_alive() else failed[0]}")
    checked(receiver, found, policy)
    return receiver
