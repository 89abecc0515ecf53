"""The README's recording: an image and its answers, other images, other tasks, and the evidence."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, ViewportSize

SIZE: ViewportSize = {"width": 1200, "height": 800}
WIDTH = 900
"""Width of the recording in pixels, as wide as a README shows it."""
_FRAME_MILLISECONDS = 120
_REST_MILLISECONDS = 1600
_ANSWERED = """() => {
  const maps = [...document.querySelectorAll("#use-answers img")];
  return !document.querySelector("#use-answers[aria-busy]")
    && maps.every((image) => image.complete && image.naturalWidth);
}"""
"""Whether all answers and their maps are there."""


class Recording:
    """Frames of a page, each with the milliseconds for which it is shown."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._frames: list[Image.Image] = []
        self._durations: list[int] = []

    def act(self, act: Callable[[], object], *, frames: int = 5) -> None:
        """Do something, record what follows, and rest on its end."""
        act()
        for _ in range(frames):
            self._take(_FRAME_MILLISECONDS)
            self._page.wait_for_timeout(_FRAME_MILLISECONDS / 2)
        self._page.wait_for_function(_ANSWERED)
        self._take(_REST_MILLISECONDS)

    def save(self, path: Path) -> None:
        """Write the frames as an animated WEBP that repeats."""
        first, *others = self._frames
        first.save(
            path, save_all=True, append_images=others, duration=self._durations, loop=0, quality=70, method=4
        )

    def _take(self, milliseconds: int) -> None:
        with Image.open(BytesIO(self._page.screenshot())) as shot:
            height = round(shot.height * WIDTH / shot.width)
            frame = shot.convert("RGB").resize((WIDTH, height), Image.Resampling.LANCZOS)
        if self._frames and frame.tobytes() == self._frames[-1].tobytes():
            self._durations[-1] += milliseconds
            return
        self._frames.append(frame)
        self._durations.append(milliseconds)


def record(browser: Browser, url: str, path: Path) -> None:
    """Record the tab Use of a running app with its bundled adapters.

    Args:
        browser: Browser to record in.
        url: URL of the app.
        path: File to write.
    """
    page = browser.new_page(viewport=SIZE)
    page.goto(f"{url}?__theme=light")
    answers = page.locator("#use-answers article")
    answers.nth(2).wait_for()
    page.wait_for_timeout(1500)
    recording = Recording(page)
    recording.act(lambda: None, frames=1)
    for caption in ("Duck", "Horses", "2 crosses"):
        recording.act(page.locator("#use-examples button", has_text=caption).click)
    recording.act(lambda: page.keyboard.press("t"), frames=8)
    recording.act(lambda: page.keyboard.press("t"))
    recording.act(page.locator("#use-examples button", has_text="Digit 0").click)
    recording.act(page.locator("#use-examples button", has_text="Cat").click)
    recording.save(path)
    page.close()
