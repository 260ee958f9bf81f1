"""Which network addresses a delivery may reach. Owns the deny table; resolves and dials nothing.

`ipaddress` flags are not a policy (they call 100.64.0.1 and 64:ff9b::7f00:1 not private, and
::ffff:8.8.8.8 reserved), so the table is spelled out. The order of judgement:

1. A scoped address (fe80::1%eth0) is denied, whatever the allow-list says.
2. IPv4-mapped (::ffff:a.b.c.d) and NAT64 (64:ff9b::a.b.c.d) are other spellings of an IPv4
   address: they are judged as that address, by the deny table and by the allow-list.
3. Every other IPv4 address that an IPv6 address carries (compatible, translated, 6to4, Teredo,
   ISATAP) must be allowed for itself. The allow-list cannot open the outside only.
4. What the allow-list holds is allowed; what the deny table holds is denied; of IPv6, only global
   unicast (2000::/3) is left to be allowed. So an unknown kind of address is a denied one.
"""

from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Final

from msgspec import Struct

VERDICTS_CACHED_MAX: Final = 4_096

# IANA special-purpose registries (RFC 6890 and its updates), and what clouds hide elsewhere.
_DENIED_V4: Final = tuple(
    (IPv4Network(network), kind)
    for network, kind in (
        ("0.0.0.0/8", "an address of this network"),
        ("10.0.0.0/8", "a private address"),
        ("100.64.0.0/10", "a shared address of carriers"),
        ("127.0.0.0/8", "a loopback address"),
        ("168.63.129.16/32", "an internal address of a cloud platform"),
        ("169.254.0.0/16", "a link-local address"),
        ("172.16.0.0/12", "a private address"),
        ("192.0.0.0/24", "an address for protocol assignments"),
        ("192.0.2.0/24", "an address for documentation"),
        ("192.88.99.0/24", "a retired relay address"),
        ("192.168.0.0/16", "a private address"),
        ("198.18.0.0/15", "an address for benchmarks"),
        ("198.51.100.0/24", "an address for documentation"),
        ("203.0.113.0/24", "an address for documentation"),
        ("224.0.0.0/4", "a multicast address"),
        ("255.255.255.255/32", "the broadcast address"),
        ("240.0.0.0/4", "a reserved address"),
    )
)
_DENIED_V6: Final = tuple(
    (IPv6Network(network), kind)
    for network, kind in (
        ("::/128", "the unspecified address"),
        ("::1/128", "a loopback address"),
        ("::/8", "a reserved address"),
        ("100::/64", "a discard address"),
        ("2001::/32", "a Teredo address"),
        ("2001::/23", "an address for protocol assignments"),
        ("2001:db8::/32", "an address for documentation"),
        ("2002::/16", "a 6to4 address"),
        ("3fff::/20", "an address for documentation"),
        ("5f00::/16", "a segment routing address"),
        ("fc00::/7", "a private address"),
        ("fe80::/10", "a link-local address"),
        ("fec0::/10", "a site-local address"),
        ("ff00::/8", "a multicast address"),
    )
)
_GLOBAL_UNICAST: Final = IPv6Network("2000::/3")

_MAPPED: Final = IPv6Network("::ffff:0:0/96")
_NAT64: Final = IPv6Network("64:ff9b::/96")
_COMPATIBLE: Final = IPv6Network("::/96")
_TRANSLATED: Final = IPv6Network("::ffff:0:0:0/96")
_SIX_TO_FOUR: Final = IPv6Network("2002::/16")
_TEREDO: Final = IPv6Network("2001::/32")
_ISATAP_MARKS: Final = (0x0000_5EFE, 0x0200_5EFE)
_LOW_32: Final = 0xFFFF_FFFF


class Verdict(Struct, frozen=True):
    """`reason` says why not, for the operator: it names the address. Empty when allowed."""

    is_allowed: bool
    reason: str = ""


_ALLOWED: Final = Verdict(True)


class Policy(Struct, frozen=True):
    """The deny table with the operator's exceptions. An empty `allow` is the strictest policy."""

    allow: tuple[IPv4Network | IPv6Network, ...] = ()

    def is_allowed(self, address: IPv4Address | IPv6Address) -> bool:
        return self.verdict(address).is_allowed

    def verdict(self, address: IPv4Address | IPv6Address) -> Verdict:
        if isinstance(address, IPv6Address):
            if address.scope_id is not None:
                return Verdict(False, f"{address} is bound to a network interface")
            if (inner := spelled_v4(address)) is not None:
                return self.verdict(inner)
            for inner in carried_v4(address):
                if not (verdict := self.verdict(inner)).is_allowed:
                    return Verdict(False, f"{address} carries an address: {verdict.reason}")
        if any(address in network for network in self.allow):
            return _ALLOWED
        denied = _denied(address)
        return _ALLOWED if denied is None else Verdict(False, denied)


def spelled_v4(address: IPv6Address) -> IPv4Address | None:
    """The IPv4 address of which this is only another spelling: IPv4-mapped and NAT64."""
    if address in _MAPPED or address in _NAT64:
        return IPv4Address(int(address) & _LOW_32)
    return None


def carried_v4(address: IPv6Address) -> tuple[IPv4Address, ...]:
    """The IPv4 addresses that routers of a transition technique would send this on to."""
    number = int(address)
    carried: list[int] = []
    if address in _SIX_TO_FOUR:
        carried.append(number >> 80 & _LOW_32)
    if address in _TEREDO:
        # RFC 4380: the server in clear, the client with every bit turned over.
        carried += [number >> 64 & _LOW_32, ~number & _LOW_32]
    if address in _COMPATIBLE or address in _TRANSLATED or number >> 32 & _LOW_32 in _ISATAP_MARKS:
        carried.append(number & _LOW_32)
    return tuple(IPv4Address(inner) for inner in carried)


@lru_cache(maxsize=VERDICTS_CACHED_MAX)
def _denied(address: IPv4Address | IPv6Address) -> str | None:
    """Why the table denies the address; None when it does not."""
    table: tuple[tuple[IPv4Network | IPv6Network, str], ...]
    table = _DENIED_V4 if isinstance(address, IPv4Address) else _DENIED_V6
    for network, kind in table:
        if address in network:
            return f"{address} is {kind} ({network}); allow it with egress_allow"
    if isinstance(address, IPv6Address) and address not in _GLOBAL_UNICAST:
        return f"{address} is not a global unicast address; allow it with egress_allow"
    return None
