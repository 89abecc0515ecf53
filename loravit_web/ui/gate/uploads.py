"""Uploads: counted per visitor while they arrive, and removed if they break off."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

from python_multipart.exceptions import MultipartParseError
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope

from loravit_web.ui.gate.bodies import counted
from loravit_web.ui.gate.passing import NoRoom, PassingFiles
from loravit_web.ui.gate.refusals import Refused
from loravit_web.ui.kit.callers import Caller
from loravit_web.ui.patches.receiving import forget_progress, receive

AT_ONCE = 64
"""Maximum number of concurrent uploads of one visitor."""
_OVERHEAD = 1 << 20
"""Maximum size of a request in bytes, without its files."""
_PROGRESS_SECONDS = 30.0
"""Seconds for which the progress of a finished upload is kept."""
_UNREADABLE = (
    "The upload cannot be read. Send the files as a form (multipart/form-data) with the field files."
)
_PROGRESS_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


def is_progress_id(text: str) -> bool:
    """Return whether a text is a valid ID for the progress of an upload."""
    return _PROGRESS_ID.fullmatch(text) is not None


class Uploads:
    """The route for uploads.

    Args:
        files: Folder for the files.
        most: Maximum size of a file in bytes.
    """

    def __init__(self, files: PassingFiles, most: int) -> None:
        self._files, self._most = files, most
        self._coming: dict[str, int] = {}

    async def take(self, scope: Scope, receive: Receive, caller: Caller) -> JSONResponse:
        """Receive the files of a request, and return their paths.

        Args:
            scope: Request.
            receive: Channel of the request.
            caller: Sender. Their limits depend on name or address, not on the cookie.

        Raises:
            Refused: If the files are too large or too many, or if there is no space.
            Left: If the upload breaks off.
        """
        request, source = Request(scope, receive), caller.username or caller.source
        declared = request.headers.get("content-length", "")
        unsaid = min(self._most + _OVERHEAD, self._files.most_of_one)
        size = int(declared) if declared.isascii() and declared.isdecimal() else unsaid
        too_large = Refused(
            413, f"The file is larger than the {self._most:,} bytes that one upload may have."
        )
        if self._coming.get(source, 0) >= AT_ONCE:
            raise Refused(
                429, f"At most {AT_ONCE} uploads can run at once. Wait until one is finished.", wait=5
            )
        self._coming[source] = self._coming.get(source, 0) + 1
        try:
            self._reserve(source, size)
            try:
                limited = Request(scope, counted(receive, size, too_large))
                paths = await self._received(limited, caller, too_large)
            finally:
                self._files.release(source, size)
        finally:
            self._coming[source] -= 1
            if not self._coming[source]:
                del self._coming[source]
        return JSONResponse([str(path) for path in paths])

    def _reserve(self, source: str, size: int) -> None:
        try:
            self._files.reserve(source, size)
        except NoRoom as error:
            raise Refused(507, str(error), wait=600) from error

    async def _received(self, request: Request, caller: Caller, too_large: Refused) -> list[Path]:
        progress = request.query_params.get("upload_id")
        if progress is not None and not is_progress_id(progress):
            raise Refused(400, "upload_id is not a valid name. Send 1 to 64 letters, digits, - or _.")
        arrival = self._files.arrival()  # without a thread, whose overhead would be larger
        try:
            files, unmoved = await receive(request, arrival, self._most, progress)
            if unmoved:  # a folder has its name
                raise Refused(400, _UNREADABLE)
            source, owner = caller.username or caller.source, caller.guest
            return [self._files.arrived(source, Path(file), owner=owner) for file in files]
        except MultiPartException as error:
            is_large = error.message.startswith("File size")
            raise (too_large if is_large else Refused(400, _UNREADABLE)) from error
        except (HTTPException, MultipartParseError, KeyError, TypeError) as error:
            raise Refused(400, _UNREADABLE) from error
        finally:
            if progress:
                asyncio.get_running_loop().call_later(_PROGRESS_SECONDS, forget_progress, progress)
            self._files.end_arrival(arrival)
