"""Routes for those who watch over the app: whether it lives, whether it can answer, and metrics."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass

from anyio.to_thread import run_sync
from starlette.datastructures import Headers
from starlette.responses import JSONResponse, Response
from starlette.types import Scope

from loravit_web.service import Service
from loravit_web.serving.metrics import CONTENT_TYPE, NoPrometheus
from loravit_web.ui.gate.refusals import NO_ROUTE, Refused
from registry import RegistryError

PATHS = frozenset({"/healthz", "/readyz", "/metrics"})
"""Paths of the routes."""
_NO_TOKEN = (
    "Metrics are only for the holder of the token in LORAVIT_METRICS_TOKEN. Send it as a bearer token."
)


@dataclass(frozen=True)
class Health:
    """The routes. The first two tell nothing but yes or no, so that anyone may use them.

    Attributes:
        is_ready: Returns why the app cannot answer now, or None.
        metrics: Returns the metrics as text.
        token: Token that a request for metrics must have; None if none is needed, empty if none is accepted.
    """

    is_ready: Callable[[], str | None]
    metrics: Callable[[], bytes]
    token: str | None

    @classmethod
    def of(cls, service: Service) -> Health:
        """Return the routes of a service. Outside of local mode, metrics need a token."""
        token = service.settings.metrics_token
        is_open = service.settings.mode == "local" and not token
        return cls(service.problem, service.metrics, None if is_open else token)

    async def answer(self, path: str, scope: Scope) -> Response | None:
        """Answer a request for one of the `PATHS`, or return None.

        Raises:
            Refused: If the request may not see the metrics, or they cannot be given.
        """
        if path == "/healthz":
            return JSONResponse({"status": "ok"})
        if path == "/readyz":
            problem = await run_sync(self.is_ready)
            if problem is not None:
                return JSONResponse({"status": "not ready", "reason": problem}, status_code=503)
            return JSONResponse({"status": "ready"})
        if path != "/metrics":
            return None
        self._check_token(scope)
        try:
            return Response(await run_sync(self.metrics), media_type=CONTENT_TYPE)
        except NoPrometheus as error:
            raise Refused(501, str(error)) from error
        except RegistryError as error:
            raise Refused(503, error.in_public) from error

    def _check_token(self, scope: Scope) -> None:
        if self.token is None:
            return
        if not self.token:
            raise Refused(404, NO_ROUTE)
        given = Headers(scope=scope).get("authorization", "")
        if not hmac.compare_digest(given.encode(), f"Bearer {self.token}".encode()):
            raise Refused(401, _NO_TOKEN)
