"""Where a request may come from: through which proxies, to which host, and from which site."""

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
    "This app runs for one person and answers at http://127.0.0.1 and http://localhost only, but this "
    "request names another host. Open it there, or start it with python -m loravit_web serve --host ADDRESS, "
    "which lets in everyone who can reach that address, with all rights."
)
_FOREIGN = (
    "Another web site sent this request, so the app did not carry it out. Use the app's own page, or name "
    "that site in LORAVIT_ORIGINS."
)


@dataclass(frozen=True)
class Arrivals:
    """Rules for what the head of a request says about where it comes from and goes to.

    Attributes:
        proxies: the peers whose forwarding headers count.
        own_names: the only names that the app answers to; None for any.
        origins: other sites whose pages may send requests, as ``https://host``.
    """

    proxies: TrustedProxies
    own_names: Collection[str] | None = None
    origins: Collection[str] = ()

    def cleaned(self, scope: Scope) -> tuple[Scope, Caller]:
        """Return the request as if no proxy stood in front, and its caller.

        Forwarding headers of peers that are not trusted are taken out, because Gradio believes them all.

        Raises:
            Refused: if it names a host that it must not name.
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
            raw.append((b"x-forwarded-proto", b"https"))  # by which Gradio writes its addresses
        port = scope["client"][1] if address == peer and scope.get("client") else 0
        cleaned = {**scope, "headers": raw, "client": (address, port), "scheme": scheme}
        return cleaned, Caller(source_of(address), f"{scheme}://{host}")

    def check_origin(self, scope: Scope, caller: Caller) -> None:
        """Let only the app's own pages, trusted sites and programs send what may store something.

        Raises:
            Refused: for a request that a browser sent on behalf of another site.
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
    """Whether only the scheme differs: a proxy that ends TLS may not say so."""
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
