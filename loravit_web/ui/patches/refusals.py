"""What Gradio's own routes say when they refuse, in a sentence where theirs is none."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any

from fastapi.exception_handlers import http_exception_handler
from gradio.route_utils import FnIndexInferError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

NO_EVENT = "There is no such event here: reload the page, or look at the API page for what can be called."
_GRADIO_SAYS = "Queue is full"
_LOG = logging.getLogger(__name__)

Handler = Callable[[Request, Any], Awaitable[Response]]


def handlers(queue_full: str) -> dict[type[Exception], Handler]:
    """For the exceptions that reach FastAPI: a refusal, and an event that Gradio does not find.

    Gradio leaves the second to the server, which answers 500 and writes a stack trace for each.

    Args:
        queue_full: the sentence for a visitor whose call the queue does not take.
    """

    async def refused(request: Request, error: HTTPException) -> Response:
        if str(error.detail).startswith(_GRADIO_SAYS):
            error = HTTPException(error.status_code, queue_full)
        return await http_exception_handler(request, error)

    return {HTTPException: refused, FnIndexInferError: _no_event, KeyError: _no_event}


async def _no_event(request: Request, error: Exception) -> Response:
    _LOG.warning("%s asks for what is not there: %r", request.url.path, error)
    return JSONResponse({"detail": NO_EVENT}, status_code=404)
