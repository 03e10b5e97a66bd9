"""Where requests may go: no address in any notation leads inside."""

import ipaddress

import pytest

from server.notify import addresses
from server.notify.addresses import Forbidden, check, is_public, parse

FORBIDDEN = [
    "http://example.com/",
    "ftp://example.com/",
    "//example.com/",
    "https:///path",
    "https://",
    "https://user@example.com/",
    "https://user:secret@example.com/",
    "https://example.com@127.0.0.1/",
    "https://@example.com/",
    "https://example.com/#fragment",
    "https://example.com:0/",
    "https://example.com:99999/",
    "https://example.com:x/",
    "https://exa mple.com/",
    "https://example.com/\r\nHost: inside",
    "https://example.com\\@127.0.0.1/",
    "https://exämple.com/",
    "https://127.0.0.1/",
    "https://127.0.0.1./",
    "https://127.1/",
    "https://0/",
    "https://0.0.0.0/",
    "https://2130706433/",
    "https://0x7f000001/",
    "https://0x7f.1/",
    "https://0177.0.0.1/",
    "https://127.0.0.0x1/",
    "https://1.2.3.4.5/",
    "https://999.1.1.1/",
    "https://10.0.0.1/",
    "https://172.16.0.1/",
    "https://192.168.1.1/",
    "https://100.64.0.1/",
    "https://169.254.169.254/latest/meta-data/",
    "https://168.63.129.16/",
    "https://192.0.0.1/",
    "https://192.88.99.1/",
    "https://198.18.0.1/",
    "https://224.0.0.1/",
    "https://240.0.0.1/",
    "https://255.255.255.255/",
    "https://[::]/",
    "https://[::1]/",
    "https://[::127.0.0.1]/",
    "https://[::ffff:127.0.0.1]/",
    "https://[::ffff:8.8.8.8]/",
    "https://[::ffff:0:127.0.0.1]/",
    "https://[64:ff9b::7f00:1]/",
    "https://[64:ff9b:1::1]/",
    "https://[2002:7f00:1::]/",
    "https://[2001:0:7f00:1::]/",
    "https://[2001:db8::1]/",
    "https://[fe80::1]/",
    "https://[fe80::1%25eth0]/",
    "https://[fec0::1]/",
    "https://[fc00::1]/",
    "https://[fd00:ec2::254]/",
    "https://[ff02::1]/",
    "https://[100::1]/",
    "https://-example.com/",
    "https://example..com/",
    "https://example.com%2f@127.0.0.1/",
    "https://127.0.0.1%2f.example.com/",
    "https://" + "a" * 64 + ".example.com/",
    "https://example.com/" + "a" * 2048,
]


@pytest.mark.parametrize("url", FORBIDDEN)
def test_hostile_addresses_are_refused_before_anything_is_resolved(url):
    with pytest.raises(Forbidden):
        parse(url, allow_loopback=False)


@pytest.mark.parametrize(
    ("url", "host", "port", "path", "authority"),
    (
        ("https://example.com", "example.com", 443, "/", "example.com"),
        ("https://EXAMPLE.com.:8443/a?b=c", "example.com", 8443, "/a?b=c", "example.com:8443"),
        ("https://8.8.8.8/", "8.8.8.8", 443, "/", "8.8.8.8"),
        ("https://[2606:4700::1111]/x", "2606:4700::1111", 443, "/x", "[2606:4700::1111]"),
        ("https://xn--exmple-cua.com/?q", "xn--exmple-cua.com", 443, "/?q", "xn--exmple-cua.com"),
    ),
)
def test_public_addresses_are_taken_apart(url, host, port, path, authority):
    target = parse(url, allow_loopback=False)

    assert (host, port, path, authority) == (target.host, target.port, target.path, target.authority)


def test_the_switch_opens_loopback_and_nothing_else():
    assert parse("http://127.0.0.1:9/", allow_loopback=True).host == "127.0.0.1"
    assert parse("http://[::1]:9/", allow_loopback=True).host == "::1"
    for url in ("http://10.0.0.1/", "http://8.8.8.8/", "https://192.168.0.1/", "http://[::ffff:127.0.0.1]/"):
        with pytest.raises(Forbidden):
            parse(url, allow_loopback=True)


def test_one_private_answer_of_a_name_refuses_all():
    target = parse("https://example.com/", allow_loopback=False)
    public, private = ipaddress.ip_address("8.8.8.8"), ipaddress.ip_address("10.0.0.1")

    check(target, [public], allow_loopback=False)
    with pytest.raises(Forbidden):
        check(target, [public, private], allow_loopback=False)


def test_a_name_over_http_may_only_be_this_machine():
    target = parse("http://example.com/", allow_loopback=True)

    check(target, [ipaddress.ip_address("127.0.0.1")], allow_loopback=True)
    with pytest.raises(Forbidden):
        check(target, [ipaddress.ip_address("8.8.8.8")], allow_loopback=True)


def test_every_special_network_is_closed():
    assert not any(is_public(network[0]) for network in addresses._CLOSED)
    assert is_public(ipaddress.ip_address("1.1.1.1"))
