"""Checks of the origin of a request: its proxies, the host that it names, and the site that sent it."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import Scope

from loravit_web.ui.gate.refusals import Refused
from loravit_web.ui.kit.callers import Caller
from loravit_web.util.addresses import TrustedProxies, source_of

LOOPBACK = ("127.0.0.1", "localhost")
_HOST = re.compile(r"(?:[A-Za-z0-9_.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::\d{1,5})?")
_FORWARDING = re.compile(rb"x-forwarded-.*|forwarded|x-real-ip|x-gradio-server|x-original-.*", re.IGNORECASE)
_ELSEWHERE = (
    "In local mode, the app only answers at http://127.0.0.1 and http://localhost, but this request names "
    "another host. Open the app there, or start it with python -m loravit_web serve --host ADDRESS, which "
    "gives everyone who can reach that address all rights."
)
_FOREIGN = (
    "Another website sent this request, so the app refused it. Use the app's own page, or add that site to "
    "LORAVIT_ORIGINS."
)


@dataclass(frozen=True)
class Arrivals:
    """Rules for the headers that say where a request comes from and goes to.

    Attributes:
        proxies: Peers whose forwarding headers are trusted.
        own_names: Host names that the app answers to, or None for any.
        origins: Other sites whose pages may send requests, such as ``https://host``.
    """

    proxies: TrustedProxies
    own_names: Collection[str] | None = None
    origins: Collection[str] = ()

    def cleaned(self, scope: Scope) -> tuple[Scope, Caller]:
        """Return the request as if it came without a proxy, and its caller.

        Forwarding headers of untrusted peers are removed, because Gradio trusts them all.

        Raises:
            Refused: If the request names a host that is not allowed.
        """
        headers = Headers(scope=scope)
        peer = scope["client"][0] if scope.get("client") else ""
        trusted = self.proxies.trusts(peer)
        host, scheme = headers.get("host", ""), scope["scheme"]
        raw = [(name, value) for name, value in scope["headers"] if not _FORWARDING.fullmatch(name)]
        address = peer
        if trusted:
            address = self.proxies.client(peer, headers.get("x-forwarded-for", ""))
            host = _first(headers.get("x-forwarded-host")) or host
            scheme = "https" if _first(headers.get("x-forwarded-proto")) == "https" else scheme
        if not _HOST.fullmatch(host):
            raise Refused(421 if self.own_names is not None else 400, _unnamed(self.own_names))
        if self.own_names is not None and urlsplit(f"//{host}").hostname not in self.own_names:
            raise Refused(421, _ELSEWHERE)
        raw = [(name, value) for name, value in raw if name != b"host"]
        raw.append((b"host", host.encode("ascii")))
        if scheme == "https":
            raw.append((b"x-forwarded-proto", b"https"))  # from which Gradio builds its URLs
        port = scope["client"][1] if address == peer and scope.get("client") else 0
        cleaned = {**scope, "headers": raw, "client": (address, port), "scheme": scheme}
        return cleaned, Caller(source_of(address), f"{scheme}://{host}")

    def check_origin(self, scope: Scope, caller: Caller) -> None:
        """Check that a request comes from the app's own page, a trusted site or a program.

        Args:
            scope: Request that may change something.
            caller: Sender of the request.

        Raises:
            Refused: If a browser sent the request on behalf of another site.
        """
        headers = Headers(scope=scope)
        origin = headers.get("origin")
        if origin is not None:
            own = origin.lower() in {caller.site.lower(), *(one.lower() for one in self.origins)}
            if not own and not _same_host(origin, caller.site):
                raise Refused(403, _FOREIGN)
        elif headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
            raise Refused(403, _FOREIGN)


def _same_host(origin: str, site: str) -> bool:
    """Return whether two sites have the same host. A proxy that ends TLS may hide the scheme."""
    try:
        return (
            urlsplit(origin).scheme in ("http", "https") and urlsplit(origin).netloc == urlsplit(site).netloc
        )
    except ValueError:
        return False


def _first(value: str | None) -> str:
    return (value or "").partition(",")[0].strip()


def _unnamed(own_names: Collection[str] | None) -> str:
    return _ELSEWHERE if own_names is not None else "The request names no usable host. Send a Host header."
