"""Sources of the image: the live camera, a file, the clipboard. A request for answers may contain a frame."""

from __future__ import annotations

from base64 import b64decode
from binascii import Error as NotBase64
from typing import Any

import gradio as gr
from PIL import Image

from loravit_web.errors import LoraVitError
from loravit_web.images.loading import load_rgb
from loravit_web.ui.kit.events import QUIET
from loravit_web.ui.language.texts import _
from loravit_web.ui.scripts import call
from loravit_web.ui.templates import render

FRAME_BYTES = 256 << 10
"""Maximum size of a frame as text. One of `_FRAME_SIDE` pixels takes 10 to 30 kB."""
_FRAME_SIDE, _PHOTO_SIDE = 224, 1280
_FRAME = "data:image/jpeg;base64,"


def values() -> dict[str, Any]:
    """Return the values that the script ``use/camera`` reads, which sends a frame per ``milliseconds``."""
    return {
        "frameSide": _FRAME_SIDE,
        "frameQuality": 0.8,
        "milliseconds": 120,
        "pauseMilliseconds": 1000,
        "photoSide": _PHOTO_SIDE,
        "messages": {
            "insecure": _("The camera needs HTTPS, or an app on this computer. Upload an image instead."),
            "blocked": _("The browser blocks the camera. Allow it for this page, and try again."),
            "missing": _("There is no camera. Connect one, or upload an image."),
            "busy": _("The camera does not start. Close other apps that use it, and try again."),
            "noClipboard": _(
                "The browser does not allow reading the clipboard. Press Ctrl+V on the image instead."
            ),
            "noClipboardImage": _("The clipboard has no image. Copy an image first."),
        },
    }


class UnreadableFrame(LoraVitError):
    """A frame that the page cannot have sent."""


def build_camera(image: gr.Image) -> gr.HTML:
    """Build the buttons and the live view. The event ``input`` reports each frame to classify.

    Args:
        image: Image to classify, which a frozen frame or a pasted image becomes.
    """
    camera = gr.HTML(
        render("use/camera"),
        js_on_load="loravit.camera.listen(element, trigger, upload);",
        elem_id="use-camera",
    )
    camera.select(None, None, image, js=call("camera.takenImage"), **QUIET)
    image.change(None, None, None, js=call("camera.end"), **QUIET)
    return camera


def frame_image(text: str) -> Image.Image:
    """Return a frame in RGB.

    Args:
        text: JPEG file as a data URL.

    Raises:
        UnreadableFrame: If the text has another form, or is too long.
        ImageError: If it is not a readable image.
    """
    unreadable = UnreadableFrame(_("The frame cannot be read. Reload the page."))
    if not text.startswith(_FRAME) or len(text) > FRAME_BYTES:
        raise unreadable
    try:
        data = b64decode(text.removeprefix(_FRAME), validate=True)
    except (NotBase64, ValueError) as error:
        raise unreadable from error
    return load_rgb(data, max_pixels=_FRAME_SIDE**2)
