"""Messages for refusals of Gradio's routes that have none."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any

from fastapi.exception_handlers import http_exception_handler
from gradio.route_utils import FnIndexInferError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

NO_EVENT = "This event does not exist. Reload the page, or see the API page for the available calls."
_GRADIO_SAYS = "Queue is full"
_LOG = logging.getLogger(__name__)

Handler = Callable[[Request, Any], Awaitable[Response]]


def handlers(queue_full: str) -> dict[type[Exception], Handler]:
    """Return handlers for exceptions that reach FastAPI: refusals, and calls of events that do not exist.

    Without a handler, the server answers the latter with status 500 and logs a stack trace for each.

    Args:
        queue_full: Message for a call that exceeds the limit of the queue.
    """

    async def refused(request: Request, error: HTTPException) -> Response:
        if str(error.detail).startswith(_GRADIO_SAYS):
            error = HTTPException(error.status_code, queue_full)
        return await http_exception_handler(request, error)

    return {HTTPException: refused, FnIndexInferError: _no_event, KeyError: _no_event}


async def _no_event(request: Request, error: Exception) -> Response:
    _LOG.warning("%s requests an event that does not exist: %r", request.url.path, error)
    return JSONResponse({"detail": NO_EVENT}, status_code=404)
