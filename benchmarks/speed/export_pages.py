"""Exported tasks in Chromium: differences, times and images per second in the exported page."""

from __future__ import annotations

import functools
import os
import shutil
import statistics
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from benchmarks.support.browser import FLAGS, NAMES
from benchmarks.support.report import Figure, at_least, at_most
from loravit_web.adapters.adapter import reference_image
from loravit_web.backbones import Base
from loravit_web.engine import MultiLoRAViT
from loravit_web.export.merged import export_merged
from loravit_web.export.plan import Version
from loravit_web.export.web import export_web
from loravit_web.images.loading import load_rgb
from loravit_web.settings.environment import read_settings

TASKS = ("everyday-objects", "handwritten-digits", "scene-shape")
"""Tasks that answer at once, of different numbers of adapted blocks."""
ROUNDS = 9
CAMERA_SECONDS = 8
WEBGPU = (
    "--enable-unsafe-webgpu",
    "--use-webgpu-adapter=swiftshader",
    "--enable-features=Vulkan",
    "--use-vulkan=swiftshader",
)
"""Flags with which Chromium computes WebGPU without a GPU: right, but 100 times slower than WebAssembly."""
_TIMES = """
async ([tasks, merged, rounds, size]) => {
  const { load } = await import("/loravit-web.js");
  const model = await load("/model/", { provider: "wasm" });
  const ort = await import("/ort/ort.wasm.min.mjs");
  const session = await ort.InferenceSession.create(merged);
  const shape = [1, 3, size, size];
  const noise = (length) => Array.from({ length }, Math.random);
  const bytes = () => Uint8ClampedArray.from(noise(4 * size * size), (x) => 255 * x);
  const image = () => new ImageData(bytes(), size, size);
  const times = { three: [], one: [] };
  for (let lap = 0; lap < rounds + 2; lap++) {
    const input = image();
    let started = performance.now();
    await model.classify(input, { tasks });
    const three = performance.now() - started;
    const pixels = new ort.Tensor("float32", Float32Array.from(noise(3 * size * size)), shape);
    started = performance.now();
    await session.run({ pixel_values: pixels });
    if (lap >= 2) {
      times.three.push(three);
      times.one.push(performance.now() - started);
    }
  }
  return { ...times, threads: ort.env.wasm.numThreads };
}
"""
_LOGITS = """
async ([task, pixels, provider]) => {
  const { load } = await import("/loravit-web.js");
  globalThis.exported ??= await load("/model/", { provider });
  return [...(await globalThis.exported.logits(task, Float32Array.from(pixels)))];
}
"""


def packages_folder() -> Path:
    """The folder of downloaded packages of the caller."""
    return read_settings(os.environ).packages


def figures(
    base: Base, versions: Sequence[Version], photos: Path, folder: Path, packages: Path
) -> Iterator[Figure]:
    """Differences with WebAssembly and WebGPU, and times and images per second with WebAssembly."""
    quiet = lambda _fraction, _stage: None  # noqa: E731
    page_folder = folder / "page"
    export_web(base, versions, page_folder, "fp32", quiet, cache=packages)
    by_slug = {version.ref.partition("@")[0]: version for version in versions}
    export_merged(base, by_slug[TASKS[0]], page_folder / "merged", "fp32", quiet)
    with served(page_folder) as address, chromium(photos, folder) as browser:
        page = opened(browser, address)
        largest = _difference(page, base, versions, "wasm")
        yield at_most("the same in Chromium (WebAssembly), reference image", largest, 1e-4)
        size = by_slug[TASKS[0]].adapter.preprocessing.image_size
        merged = f"{address}/merged/onnx/model.onnx"
        times: Any = page.evaluate(_TIMES, [list(TASKS), merged, ROUNDS, size])
        one, three = (statistics.median(times[name]) for name in ("one", "three"))
        yield Figure(f"one merged task in Chromium, {times['threads']} threads", f"{one:.0f} ms")
        yield at_most("three tasks / one merged task in Chromium", three / one, 2.5, "x")
        yield at_least("three tasks on a live camera, images per second", _camera(page), 3.0)
    with served(page_folder) as address, chromium(photos, folder, *WEBGPU) as browser:
        page = opened(browser, address)
        largest = _difference(page, base, [by_slug[task] for task in TASKS], "webgpu")
        yield at_most("the same with WebGPU, which the CPU computes here, three tasks", largest, 1e-4)


def _difference(page: Page, base: Base, versions: Sequence[Version], provider: str) -> float:
    engine, largest = MultiLoRAViT(base, torch.float32), 0.0
    for version in versions:
        engine.add(version.ref, version.adapter)
        image = reference_image(version.adapter.preprocessing)
        expected = engine.forward(image, [[version.ref]])[0][version.ref].numpy()
        found = page.evaluate(_LOGITS, [version.ref, image.flatten().tolist(), provider])
        largest = max(largest, float(np.abs(np.array(found) - expected).max()))
    return largest


def _camera(page: Page) -> float:
    """Images per second while the first three tasks of the page answer a live camera."""
    for card in page.locator("#tasks article").all():
        slug = str(card.get_attribute("data-task")).partition("@")[0]
        card.locator("input").set_checked(slug in TASKS)
    page.locator("#camera").click()
    page.wait_for_timeout(CAMERA_SECONDS * 1000)
    rate = float(page.locator("#stage").get_attribute("data-rate") or 0)
    page.locator("#camera").click()
    return rate


def opened(browser: Browser, address: str) -> Page:
    """The exported page, ready to answer with WebAssembly."""
    page = browser.new_context(permissions=["camera"]).new_page()
    page.goto(f"{address}/index.html?provider=wasm")
    page.locator("#status", has_text="Ready.").wait_for(timeout=120_000)
    return page


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """A static server of a folder on this machine; gives its address."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_words: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def chromium(photos: Path, folder: Path, *more_flags: str) -> Iterator[Browser]:
    """Chromium with a camera that sees photographs."""
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        sys.exit("error: no Chromium here: install it, for example with apt-get install chromium.")
    film = folder / "camera.mjpeg"
    frames = []
    for photo in sorted(photos.iterdir()):
        frame = folder / "frame.jpg"
        load_rgb(photo).resize((640, 480), Image.Resampling.BICUBIC).save(frame, quality=90)
        frames += [frame.read_bytes()] * 10
    film.write_bytes(b"".join(frames))
    flags = [
        *FLAGS,
        *more_flags,
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-video-capture={film}",
    ]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=flags)
        yield browser
        browser.close()
