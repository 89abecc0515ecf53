"""Frames of the camera are classified without a file, within the limits of one that the page sends."""

from __future__ import annotations

from base64 import b64encode
from io import BytesIO

import pytest
from PIL import Image

from loravit_web.errors import LoraVitError
from loravit_web.ui.use.answers import answers_html
from loravit_web.ui.use.camera import FRAME_BYTES, UnreadableFrame, frame_image, values
from tests.ui.conftest import RunningApp


def frame(width: int = 224, height: int = 168, format: str = "JPEG") -> str:
    """A red frame as the page sends it."""
    stream = BytesIO()
    Image.new("RGB", (width, height), "red").save(stream, format)
    return f"data:image/jpeg;base64,{b64encode(stream.getvalue()).decode()}"


def test_a_frame_is_an_image_of_its_size() -> None:
    image = frame_image(frame())
    assert (image.size, image.mode) == ((224, 168), "RGB")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no frame",
        "data:image/png;base64,AAAA",
        "data:image/jpeg;base64,not!base64",
        frame() + "A" * FRAME_BYTES,
    ],
)
def test_what_the_page_cannot_have_sent_is_refused(text: str) -> None:
    with pytest.raises(UnreadableFrame, match="Reload the page"):
        frame_image(text)


@pytest.mark.parametrize("text", [frame(400, 400), "data:image/jpeg;base64,AAAA"])
def test_a_frame_that_is_too_large_or_no_image_is_refused(text: str) -> None:
    with pytest.raises(LoraVitError):
        frame_image(text)


def test_a_frame_is_answered_like_an_image(running_app: RunningApp) -> None:
    html = answers_html(running_app.seen, {"frame": frame()}, ["colours"], 2, heat=False)
    assert "colours@1" in html
    assert "<ol>" in html
    assert "<img" not in answers_html(running_app.seen, {"frame": frame()}, ["colours"], 2, heat=True)
    refused = answers_html(running_app.seen, {"frame": "nothing"}, ["colours"], 2, heat=False)
    assert "Reload the page" in refused


def test_frames_come_no_faster_than_a_visitor_may_ask(running_app: RunningApp) -> None:
    a_minute = 60_000 / float(str(values()["milliseconds"]))
    assert a_minute <= running_app.service.settings.limits.requests_per_minute
