"""The egress table: every notation of an address that must not be reached, and the exceptions."""

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.rules.egress import Policy, carried_v4, spelled_v4

STRICT = Policy()

DENIED = """
127.0.0.1 127.255.255.254 0.0.0.0 0.1.2.3 10.0.0.0 10.255.255.255 172.16.0.0 172.31.255.255
192.168.0.0 192.168.255.255 100.64.0.0 100.127.255.255 100.100.100.200 198.18.0.0 198.19.255.255
192.0.0.1 192.0.2.1 198.51.100.1 203.0.113.1 192.88.99.1 169.254.169.254 169.254.170.2
168.63.129.16 224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255
:: ::1 ::ffff:127.0.0.1 ::ffff:7f00:1 ::ffff:168.63.129.16 ::127.0.0.1 ::8.8.8.8 ::ffff:0:7f00:1
::ffff:0:808:808 ::5efe:7f00:1 64:ff9b::7f00:1 64:ff9b::a9fe:a9fe 64:ff9b:1::a00:1 2002:7f00:1::
2002:808:808:: 2001:0:808:808:0:0:f7f7:f7f7 2001:2::1 2001:10::1 2001:20::1 2001:db8::1 3fff::1
3fff:fff:ffff::1 100::1 5f00::1 fc00::1 fd00:ec2::254 fe80::1 febf::1 fec0::1 ff02::1 4000::1
8000::1 2600::5efe:127.0.0.1 2600::200:5efe:10.0.0.1 fe80::1%eth0 2600::1%eth0
"""

ALLOWED = """
8.8.8.8 1.1.1.1 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.0
172.15.255.255 172.32.0.0 192.167.255.255 192.169.0.0 169.253.255.255 169.255.0.0 168.63.129.15
168.63.129.17 198.17.255.255 198.20.0.0 223.255.255.255 192.0.1.0 2606:4700:4700::1111
2001:200::1 2001:4860:4860::8888 3ffe::1 ::ffff:8.8.8.8 64:ff9b::808:808 2600::5efe:8.8.8.8
"""


@pytest.mark.parametrize("text", DENIED.split())
def test_denied_addresses_are_denied_with_a_reason(text: str) -> None:
    verdict = STRICT.verdict(ip_address(text))
    assert not verdict.is_allowed
    assert verdict.reason


@pytest.mark.parametrize("text", ALLOWED.split())
def test_public_addresses_are_allowed(text: str) -> None:
    assert STRICT.verdict(ip_address(text)).is_allowed
    assert STRICT.is_allowed(ip_address(text))


def test_the_reason_names_the_network_and_the_setting() -> None:
    reason = STRICT.verdict(ip_address("10.0.0.5")).reason
    assert reason == "10.0.0.5 is a private address (10.0.0.0/8); allow it with egress_allow"


def policy(*networks: str) -> Policy:
    return Policy(tuple(ip_network(network) for network in networks))


def test_the_allow_list_opens_what_the_table_denies_and_no_more() -> None:
    opened = policy("127.0.0.1/32", "fd00::/8")
    assert opened.is_allowed(ip_address("127.0.0.1"))
    assert opened.is_allowed(ip_address("fd00:ec2::254"))
    assert not opened.is_allowed(ip_address("127.0.0.2"))
    assert not opened.is_allowed(ip_address("fc00::1"))


def test_an_allowed_ipv4_address_is_allowed_in_its_other_spellings() -> None:
    opened = policy("127.0.0.1/32")
    assert opened.is_allowed(ip_address("::ffff:127.0.0.1"))
    assert opened.is_allowed(ip_address("64:ff9b::7f00:1"))
    assert not opened.is_allowed(ip_address("2002:7f00:1::"))


def test_allowing_everything_in_ipv6_does_not_open_ipv4_through_it() -> None:
    opened = policy("::/0")
    assert opened.is_allowed(ip_address("fd00::1"))
    for text in ("::ffff:127.0.0.1", "2002:7f00:1::", "64:ff9b::a00:1", "2600::5efe:10.0.0.1"):
        assert not opened.is_allowed(ip_address(text)), text


def test_a_scoped_address_is_denied_even_when_its_network_is_allowed() -> None:
    assert not policy("fe80::/10").is_allowed(ip_address("fe80::1%eth0"))


def test_teredo_carries_its_server_and_its_client() -> None:
    # The example of RFC 4380 section 4: server 65.54.227.120, client 192.0.2.45.
    address = IPv6Address("2001:0:4136:e378:8000:63bf:3fff:fdd2")
    assert carried_v4(address) == (IPv4Address("65.54.227.120"), IPv4Address("192.0.2.45"))
    assert spelled_v4(address) is None


IPV4 = st.integers(0, 2**32 - 1).map(IPv4Address)
DENIED_V4 = st.sampled_from(
    [ip_network(n) for n in ("10.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "100.64.0.0/10")]
    + [ip_network(n) for n in ("172.16.0.0/12", "192.168.0.0/16", "0.0.0.0/8", "224.0.0.0/3")]
).flatmap(
    lambda network: st.integers(int(network.network_address), int(network.broadcast_address)).map(
        IPv4Address
    )
)


@given(inner=DENIED_V4, prefix=st.integers(0, 2**64 - 1), public=IPV4)
def test_no_embedding_lets_a_denied_address_pass(
    inner: IPv4Address, prefix: int, public: IPv4Address
) -> None:
    number = int(inner)
    embeddings = {
        "mapped": 0xFFFF << 32 | number,
        "compatible": number,
        "translated": 0xFFFF << 48 | number,
        "nat64": 0x64FF9B << 96 | number,
        "nat64 local": 0x64FF9B0001 << 80 | number,
        "6to4": 0x2002 << 112 | number << 80,
        "teredo client": 0x20010000 << 96 | int(public) << 64 | (number ^ 0xFFFFFFFF),
        "teredo server": 0x20010000 << 96 | number << 64 | (int(public) ^ 0xFFFFFFFF),
        "isatap": prefix << 64 | 0x5EFE << 32 | number,
        "isatap global": prefix << 64 | 0x02005EFE << 32 | number,
    }
    assert not STRICT.is_allowed(inner)
    for kind, embedded in embeddings.items():
        assert not STRICT.is_allowed(IPv6Address(embedded)), kind


@given(address=IPV4)
def test_both_spellings_of_an_ipv4_address_have_one_verdict(address: IPv4Address) -> None:
    expected = STRICT.is_allowed(address)
    assert STRICT.is_allowed(IPv6Address(0xFFFF << 32 | int(address))) == expected
    assert STRICT.is_allowed(IPv6Address(0x64FF9B << 96 | int(address))) == expected


@given(number=st.integers(0, 2**128 - 1))
def test_of_ipv6_only_global_unicast_passes(number: int) -> None:
    address = IPv6Address(number)
    if STRICT.is_allowed(address):
        assert address in ip_network("2000::/3") or spelled_v4(address) is not None
