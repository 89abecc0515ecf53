"""Example images, each with the tasks that fit it: photographs, scanned digits and drawn scenes.

The photographs are in the public domain; ``photographs/README.md`` names their authors and sources.
"""

from __future__ import annotations

import hashlib
import os
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from urllib.parse import quote

import numpy as np
from markupsafe import Markup
from PIL import Image, ImageOps

from loravit_web.datasets.sources.scenes import draw_scene
from loravit_web.images.loading import encode_webp
from loravit_web.ui.kit.uploads import upload_folder
from loravit_web.ui.language.texts import gettext_noop
from loravit_web.ui.templates import render
from loravit_web.ui.use.picker import Opening
from loravit_web.util.files import write_atomic
from loravit_web.visibility import Seen

_PHOTOGRAPHS = Path(__file__).with_name("photographs")
_ANIMAL = ("everyday-objects", "animal-or-vehicle")
_COLORED = (*_ANIMAL, "dominant-colour")
_SCENE = ("scene-shape", "scene-count", "scene-texture")
_THUMBNAIL = 80
"""Side of a thumbnail in pixels. All thumbnails are part of the page, so they are small."""


@dataclass(frozen=True)
class Example:
    """An example image.

    Attributes:
        caption: What it shows, in one to three words.
        tasks: Bundled tasks that were trained on such images and answer it correctly.
        data: The image as a WEBP file.
    """

    caption: str
    tasks: tuple[str, ...]
    data: bytes

    @property
    def file(self) -> str:
        """Name of its file, which is different for different images."""
        return f"{hashlib.sha256(self.data).hexdigest()[:16]}.webp"


@cache
def examples() -> Sequence[Example]:
    """Return the example images in the order in which the page shows them."""
    return (
        Example(gettext_noop("Cat"), _COLORED, _photograph("cat")),
        Example(gettext_noop("Duck"), _COLORED, _photograph("duck")),
        Example(gettext_noop("Dog"), _ANIMAL, _photograph("dog")),
        Example(gettext_noop("Horses"), _ANIMAL, _photograph("horse")),
        Example(gettext_noop("Moose"), _COLORED, _photograph("moose")),
        Example(gettext_noop("2 crosses"), _SCENE, _scene("cross", "2", "dots", 9)),
        Example(gettext_noop("5 circles"), _SCENE, _scene("circle", "5", "plain", 2)),
        Example(gettext_noop("Digit 0"), ("handwritten-digits",), _digit(0)),
    )


def examples_html() -> Markup:
    """Return the buttons of the examples, with thumbnails."""
    shown = [
        {"caption": example.caption, "file": example.file, "address": _thumbnail(example.data)}
        for example in examples()
    ]
    return render("use/examples", examples=shown)


def opening_of(seen: Seen, example: Example) -> Opening:
    """Return what opens when an example is chosen: its image, and those of its tasks that are ready."""
    tasks = _on_offer(seen, example.tasks)
    return Opening(_picture(example), tasks or None)


def first_opening(seen: Seen, linked: Sequence[str]) -> Opening:
    """Return the example that a page opens with if it has no image, or nothing if no example fits.

    Args:
        seen: What the visitor sees of the app.
        linked: Tasks that the link names. If there are any, the example has to fit one of them.
    """
    slugs = {task.partition("@")[0] for task in linked}
    for example in examples():
        if slugs and not slugs & set(example.tasks):
            continue
        if tasks := _on_offer(seen, example.tasks):
            return Opening(_picture(example), None if slugs else tasks, is_offer=True)
    return Opening(None, None)


def _on_offer(seen: Seen, tasks: Sequence[str]) -> list[str]:
    """Return those of the tasks that are ready to answer."""
    infos = seen.predictor.offered(tasks, most=len(tasks))
    ready = {info.slug for info in infos if info.status == "ready"}
    return [task for task in tasks if task in ready]


def _picture(example: Example) -> dict[str, object]:
    """Return an example as the page sends an image, and write its file, or mark it as new."""
    path = upload_folder() / "examples" / example.file
    if path.exists():
        os.utime(path)
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, example.data)
    url = f"gradio_api/file={quote(str(path))}"
    return {"path": str(path), "url": url, "orig_name": f"{example.caption}.webp", "mime_type": "image/webp"}


def _photograph(name: str) -> bytes:
    return (_PHOTOGRAPHS / f"{name}.webp").read_bytes()


def _scene(shape: str, count: str, texture: str, seed: int) -> bytes:
    scene = draw_scene(shape, count, texture, np.random.default_rng(seed))
    return encode_webp(scene.image.resize((336, 336), Image.Resampling.LANCZOS))


def _digit(index: int) -> bytes:
    """Return a scanned digit from scikit-learn, read without its import, which takes a second."""
    spec = find_spec("sklearn")
    if spec is None or spec.origin is None:
        raise AssertionError("scikit-learn is one of the requirements")
    table = Path(spec.origin).parent / "datasets" / "data" / "digits.csv.gz"
    row = np.loadtxt(table, delimiter=",", skiprows=index, max_rows=1)
    grey = np.rint(np.reshape(row[:-1], (8, 8)) * (255 / 16)).astype(np.uint8)
    return encode_webp(Image.fromarray(grey).resize((128, 128), Image.Resampling.BICUBIC).convert("RGB"))


def _thumbnail(data: bytes) -> str:
    """Return a thumbnail as a data URL, because Gradio deletes old files in its folder."""
    with Image.open(BytesIO(data)) as image:
        small = ImageOps.fit(image.convert("RGB"), (_THUMBNAIL, _THUMBNAIL))
    return f"data:image/webp;base64,{b64encode(encode_webp(small, quality=50)).decode()}"
