"""Requests are counted by subscriber, and only trusted proxies can forward an address."""

from __future__ import annotations

import pytest

from loravit_web.util.addresses import TrustedProxies, UnusableNetwork, source_of


@pytest.mark.parametrize(
    ("address", "source"),
    [
        ("203.0.113.5", "203.0.113.5"),
        ("::ffff:203.0.113.5", "203.0.113.5"),
        ("2001:db8:1:2:aaaa::1", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:bbbb::2", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("x" * 1000, "x" * 64),
    ],
)
def test_an_address_is_counted_with_its_subscriber(address: str, source: str) -> None:
    assert source_of(address) == source


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("10.0.0.9", "198.51.100.7", "198.51.100.7"),
        ("10.0.0.9", "1.1.1.1, 198.51.100.7", "198.51.100.7"),  # the client forged the first one
        ("10.0.0.9", "198.51.100.7, 10.1.2.3", "198.51.100.7"),
        ("10.0.0.9", "10.1.2.3", "10.1.2.3"),
        ("10.0.0.9", "", "10.0.0.9"),
        ("203.0.113.5", "198.51.100.7", "203.0.113.5"),
        ("::ffff:10.0.0.9", "198.51.100.7", "198.51.100.7"),
        ("", "198.51.100.7", ""),
    ],
)
def test_the_client_is_the_last_address_that_is_not_a_trusted_proxy(
    peer: str, forwarded: str, client: str
) -> None:
    assert TrustedProxies("10.0.0.9, 10.1.0.0/16").client(peer, forwarded) == client


def test_a_star_trusts_every_peer() -> None:
    assert TrustedProxies("*").client("203.0.113.5", "198.51.100.7, 10.0.0.1") == "198.51.100.7"


def test_a_text_that_is_not_a_network_is_named() -> None:
    with pytest.raises(UnusableNetwork, match="proxy"):
        TrustedProxies("10.0.0.1,proxy")
