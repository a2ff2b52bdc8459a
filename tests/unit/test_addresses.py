"""Which addresses webhooks may go to: a list of hostile ones, and what the operator may allow."""

from __future__ import annotations

import ipaddress
import threading
import time
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producer import addresses
from producer.addresses import Address, Policy, Receiver
from producer.errors import UnsafeUrl

PUBLIC = ipaddress.ip_address("93.184.215.14")


def finding(*found: str) -> Callable[[str, int], list[Address]]:
    """Return a look-up that finds these addresses for any name."""
    return lambda _host, _port: [ipaddress.ip_address(one) for one in found]


def check(url: str, *found: str, policy: Policy | None = None) -> Receiver:
    return addresses.check(url, policy or Policy(), finding(*(found or (str(PUBLIC),))))


GOOD = {
    "https://example.com": ("example.com", 443, "/"),
    "https://example.com/hook?a=b&c=%20d": ("example.com", 443, "/hook?a=b&c=%20d"),
    "https://example.com?a=b": ("example.com", 443, "/?a=b"),
    "HTTPS://Example.COM:8443/Hook": ("example.com", 8443, "/Hook"),
    "https://bücher.example/": ("xn--bcher-kva.example", 443, "/"),
    "https://xn--bcher-kva.example/": ("xn--bcher-kva.example", 443, "/"),
    "https://a_b.example/": ("a_b.example", 443, "/"),
    "https://93.184.215.14/": ("93.184.215.14", 443, "/"),
    "https://[2606:2800:21f:cb07:6820:80da:af6b:8b2c]/": ("2606:2800:21f:cb07:6820:80da:af6b:8b2c", 443, "/"),
}


@pytest.mark.parametrize("url", GOOD)
def test_public_addresses_are_allowed(url: str) -> None:
    receiver = check(url)
    assert (receiver.host, receiver.port, receiver.target) == GOOD[url]


HOSTILE_LITERALS = (
    *("127.0.0.1", "127.8.9.10", "0.0.0.0", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1"),
    *("169.254.169.254", "100.100.100.200", "100.64.0.1", "168.63.129.16", "192.0.0.192", "192.0.2.1", "192.88.99.1"),
    *("198.18.0.1", "198.51.100.7", "203.0.113.9", "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255"),
    *("::", "::1", "::ffff:127.0.0.1", "::ffff:7f00:1", "::ffff:169.254.169.254", "::127.0.0.1", "::a9fe:a9fe"),
    *("::ffff:0:127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::127.0.0.1", "64:ff9b:1::1", "64:ff9b:1:fffe::7f00:1"),
    *("2002:7f00:1::", "2002:a9fe:a9fe::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001:db8::1", "3fff::1"),
    *("fe80::1", "fec0::1", "fc00::1", "fd00:ec2::254", "ff02::1", "ff0e::1", "100::1", "5f00::1", "4000::1"),
)


@pytest.mark.parametrize("literal", HOSTILE_LITERALS)
def test_what_is_not_public_is_refused_as_written_and_as_found(literal: str) -> None:
    written = f"[{literal}]" if ":" in literal else literal
    for url, found in ((f"https://{written}/", ()), ("https://example.com/", (literal,))):
        with pytest.raises(UnsafeUrl) as caught:
            check(url, *found)
        assert "not public" in caught.value.reason
    with pytest.raises(UnsafeUrl):
        check("https://example.com/", str(PUBLIC), literal)  # one bad one refuses all


ODD = (
    # Other ways to write 127.0.0.1 and 169.254.169.254.
    *("https://2130706433/", "https://0x7f000001/", "https://0x7f.0.0.1/", "https://0177.0.0.1/", "https://127.1/"),
    *("https://017700000001/", "https://0x7F.1/", "https://127.0.0.01/", "https://2852039166/", "https://0/"),
    *("https://１２７.0.0.1/", "https://127。0。0。1/", "https://127．0．0．1/", "https://127｡0｡0｡1/", "https://①②⑦.0.0.1/"),
    *("https://127.0.0.1./", "https://[::1%25lo]/", "https://[::ffff:127.0.0.1%eth0]/", "https://[::1/", "https://::1/"),
    *("https://127.0.0.0x1/", "https://1.2.3/", "https://1.2.3.4.5/", "https://256.1.1.1/", "https://a.0x/"),
    # Two programs may read these in two ways.
    *("https://user@example.com/", "https://user:pass@example.com/", "https://@example.com/", "https://a@b@c.example/"),
    *("https://example.com#@127.0.0.1/", "https://example.com/#fragment", "https://example.com\\@127.0.0.1/"),
    *("https:/example.com/", "https:example.com/", "//example.com/", "https:///example.com/", "https://exa mple.com/"),
    *("https://example.com/a b", "https://example.com/\r\nHost: internal", "https://example.com\t/", " https://a.example/"),
    *("https://example.com/ü", "https://example.com/\x00", "https://example.com\n", "https://%31%32%37.0.0.1/"),
    *("https://exam\u00adple.com/", "https://straße.example/", "https://\u200bexample.com/", "https://ＥＸＡＭＰＬＥ.com/"),
    # Other schemes, ports and hosts.
    *("http://example.com/", "ftp://example.com/", "file:///etc/passwd", "gopher://a.example/", "javascript:alert(1)"),
    *("https://example.com:22/", "https://example.com:6379/", "https://example.com:80/", "https://example.com:0/"),
    *("https://example.com:65536/", "https://example.com:99999999/", "https://example.com:/", "https://a.example:４４３/"),
    *("https://", "https:///", "https://.", "https://..", "https://.example.com/", "https://a..example/"),
    *("https://-a.example/", "", "example.com", "https://" + "a" * 64 + ".example/", "https://a.example/" + "a" * 2048),
    "https://" + "a." * 127 + "example/",
)  # fmt: skip


@pytest.mark.parametrize("url", ODD)
def test_what_is_written_in_an_odd_way_is_refused(url: str) -> None:
    with pytest.raises(UnsafeUrl):
        check(url)


def test_a_refusal_tells_nothing_of_what_there_is() -> None:
    said = set()
    for url in (*ODD, "https://127.0.0.1/", "https://[::1]/"):
        with pytest.raises(UnsafeUrl) as caught:
            check(url)
        said.add(str(caught.value))

    def nowhere(_host: str, _port: int) -> list[Address]:
        raise OSError("Name or service not known")

    with pytest.raises(UnsafeUrl) as caught:
        addresses.check("https://nowhere.example/", Policy(), nowhere)
    assert "Name or service not known" in caught.value.reason
    assert said == {str(caught.value)}


def test_a_name_that_is_not_found_in_time_is_refused() -> None:
    hanging = threading.Event()

    def hang(_host: str, _port: int) -> list[Address]:
        hanging.wait(20)
        return [PUBLIC]

    began = time.monotonic()
    with pytest.raises(UnsafeUrl) as caught:
        addresses.check("https://example.com/", Policy(), hang, timeout_s=0.1)
    hanging.set()
    assert time.monotonic() - began < 5
    assert "in time" in caught.value.reason
    with pytest.raises(UnsafeUrl):
        addresses.check("https://example.com/", Policy(), lambda _h, _p: [])


@given(st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)))
def test_what_python_calls_private_is_never_public(address: Address) -> None:
    if not address.is_global or address.is_multicast or address.is_reserved or address.is_link_local:
        assert not addresses.is_public(address)


@given(st.ip_addresses(v=4))
def test_no_form_of_an_ipv4_address_gets_past_its_own_verdict(address: ipaddress.IPv4Address) -> None:
    number = int(address)
    mapped = ipaddress.IPv6Address((0xFFFF << 32) | number)
    receiver = addresses.parse("https://example.com/")
    if addresses.is_public(address):
        assert addresses.checked(receiver, [mapped], Policy()) == [address]
    else:
        with pytest.raises(UnsafeUrl):
            addresses.checked(receiver, [mapped], Policy())
    carrying = [
        ipaddress.IPv6Address(number),
        ipaddress.IPv6Address((0xFFFF << 48) | number),
        ipaddress.IPv6Address((0x64FF9B << 96) | number),
        ipaddress.IPv6Address((0x2002 << 112) | (number << 80)),
    ]
    assert not any(addresses.is_public(form) for form in carrying)


ALLOWING = Policy.of("10.1.0.0/16, fd00:1::/64,127.0.0.1/32", "443", "off")


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("http://hooks.internal:9000/", ["10.1.2.3"]),
        ("https://hooks.internal/", ["10.1.2.3", "fd00:1::5"]),
        ("http://10.1.2.3:80/", []),
        ("http://127.0.0.1:5000/hook", []),
        ("http://[::ffff:127.0.0.1]:5000/", []),
        ("https://mixed.example/", ["10.1.2.3", str(PUBLIC)]),
    ],
)
def test_private_receivers_are_allowed_by_network(url: str, found: list[str]) -> None:
    assert check(url, *found, policy=ALLOWING)


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("http://127.0.0.2:5000/", []),
        ("https://hooks.internal/", ["10.2.0.1"]),
        ("https://hooks.internal/", ["10.1.2.3", "10.2.0.1"]),
        ("http://example.com/", []),
        ("https://example.com:9000/", []),
        ("http://mixed.example/", ["10.1.2.3", str(PUBLIC)]),
        ("http://user@10.1.2.3/", []),
        ("http://0x0a010203/", []),
    ],
)
def test_nothing_else_is_allowed_by_that(url: str, found: list[str]) -> None:
    with pytest.raises(UnsafeUrl):
        check(url, *found, policy=ALLOWING)


def test_the_operator_may_allow_http_and_other_ports() -> None:
    policy = Policy.of("", "443,80,9000", "on")
    assert check("http://example.com/", policy=policy).port == 80
    assert check("https://example.com:9000/", policy=policy).port == 9000
    with pytest.raises(UnsafeUrl):
        check("http://127.0.0.1/", policy=policy)


def test_a_name_with_another_answer_the_second_time_is_checked_again() -> None:
    answers: list[Sequence[str]] = [[str(PUBLIC)], ["127.0.0.1"]]

    def rebinding(_host: str, _port: int) -> list[Address]:
        return [ipaddress.ip_address(one) for one in answers.pop(0)]

    assert addresses.check("https://rebinding.example/", Policy(), rebinding)
    with pytest.raises(UnsafeUrl):
        addresses.check("https://rebinding.example/", Policy(), rebinding)


def test_the_host_header_names_host_and_port() -> None:
    def header(url: str) -> str:
        return addresses.parse(url).host_header

    assert header("https://Example.com/") == "example.com"
    assert header("https://example.com:8443/") == "example.com:8443"
    assert header("http://example.com:80/") == "example.com"
    assert header("https://[2606:4700::1111]:8443/") == "[2606:4700::1111]:8443"
