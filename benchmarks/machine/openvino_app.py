"""The app with and without OpenVINO: its start, its memory, and the time until compiled parts are used."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np
from PIL import Image

from benchmarks.support.forks import ROOT
from benchmarks.support.homes import with_bases
from benchmarks.support.http import Asker
from benchmarks.support.report import Figure

TASKS = ("handwritten-digits", "scene-shape", "magnetic-tiles")
_ANSWERS = 12
_WAIT_SECONDS = 30.0


def app_figures() -> Iterator[Figure]:
    """Start an app twice in each way, in turn; the second start finds what the first one measured."""
    with tempfile.TemporaryDirectory() as folder:
        home = with_bases(Path(folder) / "home")
        for start in ("first", "second", "third"):
            for engine in ("torch", "auto"):
                yield from _figures(home, engine, start)


def _figures(home: Path, engine: str, start: str) -> Iterator[Figure]:
    what = f"app, {start} start, LORAVIT_ENGINE={engine}"
    environ = {**os.environ, "LORAVIT_HOME": str(home), "LORAVIT_ENGINE": engine}
    started = time.perf_counter()
    with _running(environ) as (process, url):
        asker = Asker(url)
        image = 0

        def ask() -> None:
            nonlocal image
            image += 1
            asker.classify(asker.upload("image.png", _png(image)), TASKS)

        ask()
        first = time.perf_counter()
        yield Figure(f"{what}: first answer of three tasks", f"{first - started:.2f} s")
        while (
            engine == "auto" and time.perf_counter() - first < _WAIT_SECONDS and _parts(url) < len(TASKS) + 1
        ):
            ask()
            time.sleep(0.2)
        if engine == "auto":
            seconds = time.perf_counter() - first
            yield Figure(f"{what}: {_parts(url)} parts compiled after", f"{seconds:.2f} s")
        for _ in range(_ANSWERS):
            ask()
        yield Figure(f"{what}: memory (PSS)", f"{_pss(process.pid) / 1024:.0f} MB")
        asker.close()


@contextmanager
def _running(environ: Mapping[str, str]) -> Iterator[tuple[subprocess.Popen[str], str]]:
    app = subprocess.Popen(
        [sys.executable, "app.py"], cwd=ROOT, env=dict(environ), stdout=subprocess.PIPE, text=True
    )
    try:
        assert app.stdout is not None
        yield app, app.stdout.readline().split()[-1]
    finally:
        app.terminate()
        app.wait()


def _png(seed: int) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 255, (96, 128, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def _parts(url: str) -> int:
    text = httpx.get(f"{url.rstrip('/')}/metrics").raise_for_status().text
    found = re.search(r"^loravit_compiled_parts (\S+)$", text, re.MULTILINE)
    return 0 if found is None else int(float(found[1]))


def _pss(pid: int) -> int:
    text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8")
    found = re.search(r"^Pss:\s+(\d+) kB", text, re.MULTILINE)
    assert found is not None
    return int(found[1])
