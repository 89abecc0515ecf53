"""Refused requests: a status and a message, without internal details."""

from __future__ import annotations

from starlette.responses import JSONResponse

FAILED = "Something went wrong with this request. The server log has details."
NO_ROUTE = "This address does not exist. Open the app's start page instead."


class Refused(Exception):
    """A request that the gate refuses.

    Attributes:
        status: HTTP status.
        sentence: What is wrong and what to do.
        wait: Seconds after which to try again, or None.
    """

    def __init__(self, status: int, sentence: str, *, wait: int | None = None) -> None:
        super().__init__(sentence)
        self.status, self.sentence, self.wait = status, sentence, wait

    def answer(self) -> JSONResponse:
        """Return the answer.

        The message is in ``error`` and ``detail``, because Gradio's clients read one or the other.
        """
        headers = {} if self.wait is None else {"Retry-After": str(self.wait)}
        # the body may be unread, so the connection cannot be used again
        headers["Connection"] = "close"
        content = {"error": self.sentence, "detail": self.sentence}
        return JSONResponse(content, status_code=self.status, headers=headers)
