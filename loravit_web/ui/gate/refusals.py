"""Refused requests: a status, one sentence, and nothing that the server has not decided to tell."""

from __future__ import annotations

from starlette.responses import JSONResponse

FAILED = "The app could not answer this request. Its log says why."
NO_ROUTE = "There is nothing at this address. Open the app's start page instead."


class Refused(Exception):
    """A request that goes no further.

    Attributes:
        status: of HTTP.
        sentence: what is wrong and what to do.
        wait: seconds after which the same request may be taken.
    """

    def __init__(self, status: int, sentence: str, *, wait: int | None = None) -> None:
        super().__init__(sentence)
        self.status, self.sentence, self.wait = status, sentence, wait

    def answer(self) -> JSONResponse:
        """Return what to send.

        Gradio's clients look for ``error`` or ``detail``, by the route.
        """
        headers = {} if self.wait is None else {"Retry-After": str(self.wait)}
        # what was sent is not read to its end, so this connection can carry no other request
        headers["Connection"] = "close"
        content = {"error": self.sentence, "detail": self.sentence}
        return JSONResponse(content, status_code=self.status, headers=headers)
