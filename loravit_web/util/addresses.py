"""What an internet address tells of who a request comes from."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Network = IPv4Network | IPv6Network
_HOUSEHOLD = 64
"""Bits of an IPv6 address that one subscriber cannot change; the other 64 are free to choose."""


class UnusableNetwork(ValueError):
    """A text that names neither an address nor a network."""


def source_of(address: str) -> str:
    """Return what requests of one subscriber are counted under.

    Args:
        address: as a server reports it; a text that is no address stands for itself.

    Returns:
        An IPv4 address as it is, also where IPv6 wraps it; of any other IPv6 address its /64 network.
    """
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return address[:64]
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped is None:
            return str(ip_network((parsed, _HOUSEHOLD), strict=False))
        parsed = parsed.ipv4_mapped
    return str(parsed)


class TrustedProxies:
    """The peers whose forwarding headers are believed.

    Args:
        text: addresses and networks separated by commas, as uvicorn's ``FORWARDED_ALLOW_IPS``; ``*`` trusts
            every peer.

    Raises:
        UnusableNetwork: if an entry is neither.
    """

    def __init__(self, text: str) -> None:
        entries = [entry.strip() for entry in text.split(",") if entry.strip()]
        self._everyone = "*" in entries
        self._networks = tuple(_networks(entry for entry in entries if entry != "*"))

    def trusts(self, peer: str) -> bool:
        """Return whether a peer is one of them."""
        if self._everyone:
            return True
        try:
            address: IPv4Address | IPv6Address = ip_address(peer)
        except ValueError:
            return False
        if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return any(address in network for network in self._networks)

    def client(self, peer: str, forwarded_for: str) -> str:
        """Return the address that a request really comes from.

        Args:
            peer: the other end of the connection.
            forwarded_for: the header ``X-Forwarded-For``, to which each proxy appends its own peer.

        Returns:
            The last address that no trusted proxy has; the peer where there is none.
        """
        if not self.trusts(peer):
            return peer
        hops = [hop.strip() for hop in forwarded_for.split(",") if hop.strip()]
        if self._everyone:
            return hops[0] if hops else peer
        return next((hop for hop in reversed(hops) if not self.trusts(hop)), hops[0] if hops else peer)


def _networks(entries: Iterable[str]) -> Iterable[Network]:
    for entry in entries:
        try:
            yield ip_network(entry, strict=False)
        except ValueError as error:
            raise UnusableNetwork(entry) from error
