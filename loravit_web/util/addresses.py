"""Client addresses: the key under which requests are counted, and trusted proxies."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Network = IPv4Network | IPv6Network
_HOUSEHOLD = 64
"""Number of leading bits of an IPv6 address that a subscriber cannot change."""


class UnusableNetwork(ValueError):
    """A text that is neither an address nor a network."""


def source_of(address: str) -> str:
    """Return the key under which requests of one subscriber are counted.

    Args:
        address: Address as reported by a server; any other text is its own key.

    Returns:
        The IPv4 address, also if IPv6 wraps it, or the /64 network of an IPv6 address.
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
    """Proxies whose forwarding headers are trusted.

    Args:
        text: Addresses and networks separated by commas, as in uvicorn's ``FORWARDED_ALLOW_IPS``; ``*``
            trusts every peer.

    Raises:
        UnusableNetwork: If an entry is neither an address nor a network.
    """

    def __init__(self, text: str) -> None:
        entries = [entry.strip() for entry in text.split(",") if entry.strip()]
        self._everyone = "*" in entries
        self._networks = tuple(_networks(entry for entry in entries if entry != "*"))

    def trusts(self, peer: str) -> bool:
        """Return whether a peer is a trusted proxy."""
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
        """Return the address of the client behind the proxies.

        Args:
            peer: Address of the other end of the connection.
            forwarded_for: Header ``X-Forwarded-For``, to which each proxy appends its peer.

        Returns:
            The last address that is not a trusted proxy, or the peer if there is none.
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
