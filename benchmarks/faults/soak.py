"""A long life in short: many answers and trainings in a row, a full queue, a restart while people ask."""

from __future__ import annotations

import argparse
import io
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import numpy as np
from PIL import Image

from benchmarks.support.homes import embedded_base, home_of_tasks
from benchmarks.support.http import Asker, Refused
from benchmarks.support.report import Figure, at_least, at_most, save, show
from loravit_web.access.rights import SHELL
from loravit_web.actions import Actions
from loravit_web.adapters import ViTAdapterConfig
from loravit_web.service import Service
from loravit_web.settings.environment import Settings
from loravit_web.training.recipe import preset_recipe
from registry import Registry

ROOT = Path(__file__).resolve().parents[2]
TASKS = 4
SIDE = 56
SHORT = {"blocks": 1, "r": 2, "image_size": SIDE, "epochs": 1, "min_steps": 0, "max_images": 120}
"""Settings of a training of a few seconds."""


def run(arguments: list[str]) -> int:
    """``python -m benchmarks soak [--answers N] [--trainings N] [--json FILE]``."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks soak")
    parser.add_argument("--answers", type=int, default=1000)
    parser.add_argument("--trainings", type=int, default=20)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    with home_of_tasks(embedded_base(), TASKS, ViTAdapterConfig(), image_size=SIDE) as home:
        port = _free_port()
        with _app(home, port) as app:
            figures = _many_answers(app, options.answers)
            figures += _many_trainings(app, home, options.trainings)
            figures += _full_queue(app)
        figures += _restart(home, port)
    save(options.json, "a long life", figures)
    return show(f"{options.answers} answers and {options.trainings} trainings in a row", figures)


@dataclass(frozen=True)
class App:
    """A running app and how to look at it."""

    url: str
    pid: int
    uploads: Path

    def use(self) -> tuple[float, int, int, int]:
        """Resident megabytes, open files, threads and files that wait in the folder of uploads."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        fields = dict(line.split(":", 1) for line in status.splitlines())
        files = sum(path.is_file() for path in self.uploads.rglob("*"))
        opened = len(list(Path(f"/proc/{self.pid}/fd").iterdir()))
        return int(fields["VmRSS"].split()[0]) / 1e3, opened, int(fields["Threads"]), files


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def _app(home: Path, port: int) -> Iterator[App]:
    uploads = home.with_name("uploads")
    environment = {
        **os.environ,
        "LORAVIT_HOME": str(home),
        "LORAVIT_BUNDLED": "no",
        "LORAVIT_MODE": "local",
        "GRADIO_TEMP_DIR": str(uploads),
    }
    words = [sys.executable, "-m", "loravit_web", "serve", "--port", str(port)]
    process = subprocess.Popen(words, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        url = process.stdout.readline().split()[-1]
        yield App(url, process.pid, uploads)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)


def _image(seed: int) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).resize((160, 120)).save(buffer, "PNG")
    return buffer.getvalue()


def _many_answers(app: App, count: int) -> list[Figure]:
    """Memory, files and threads after a fifth of the answers, beside those after all of them."""
    asker, before = Asker(app.url), app.use()
    for number in range(count):
        answer = asker.classify(asker.upload("p.png", _image(number)), [f"task-{number % TASKS}"])
        assert answer["results"][0]["error"] is None, answer
        if number == count // 5:
            before = app.use()
    asker.close()
    after = app.use()
    return [
        at_most(f"memory after {count} answers / after a fifth", after[0] / before[0], 1.05, "x"),
        at_most("open files more", after[1] - before[1], 5),
        at_most("threads more", after[2] - before[2], 5),
        at_most("files of one answer that wait to be cleared", (after[3] - before[3]) / (count * 0.8), 1.01),
    ]


def _many_trainings(app: App, home: Path, count: int) -> list[Figure]:
    """The same around trainings that the app's worker makes, and what they leave in the data folder."""
    service = Service(Settings(home=home, bundled=False))
    left: list[int] = []
    try:
        dataset = service.datasets.import_source("sample:digits")
        before = app.use()
        for number in range(count):
            recipe = preset_recipe("quick", mirror=False, seed=number, **SHORT)
            run = Actions(service, SHELL).queue_training(dataset, f"digits-{number % 3}", recipe)
            while (ended := service.registry.runs.get(run.id)).status in ("queued", "running"):
                time.sleep(0.2)
            assert ended.status == "completed", ended
            left.append(sum(path.is_file() for path in (home / "work").rglob("*")))
            if number == count // 5:
                before = app.use()
    finally:
        service.close()
    after = app.use()
    return [
        at_most(f"memory after {count} trainings / after a fifth", after[0] / before[0], 1.05, "x"),
        at_most("open files more", after[1] - before[1], 5),
        at_most("threads more", after[2] - before[2], 5),
        at_most("files in work more", left[-1] - left[count // 5], 0),
    ]


@dataclass
class Told:
    """What clients were told."""

    answers: int = 0
    refusals: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)


def _full_queue(app: App, clients: int = 150) -> list[Figure]:
    """More questions at one moment than the queue holds, and one more when it has emptied."""
    told = Told()
    images = [(asker := Asker(app.url), asker.upload("p.png", _image(10**6 + n))) for n in range(clients)]
    start = threading.Barrier(clients)

    def client(asker: Asker, image: dict[str, object], number: int) -> None:
        start.wait()
        try:
            asker.classify(image, [f"task-{number % TASKS}"])
            with told.lock:
                told.answers += 1
        except Refused as refused:
            with told.lock:
                told.refusals.append(str(refused))
        finally:
            asker.close()

    threads = [threading.Thread(target=client, args=(*pair, n)) for n, pair in enumerate(images)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    busy = sum("server is busy" in refusal for refusal in told.refusals)
    asker = Asker(app.url)
    again = asker.classify(asker.upload("p.png", _image(1)), ["task-0"])
    asker.close()
    return [
        Figure(f"{clients} questions at one moment: answered", str(told.answers)),
        at_least("told that the server is busy", busy, 1),
        at_most("told anything else, or nothing", clients - told.answers - busy, 0),
        at_least("answers afterwards", int(again["results"][0]["error"] is None), 1),
    ]


def _restart(home: Path, port: int) -> list[Figure]:
    """SIGTERM while clients ask, then a new start at the same address: they go on."""
    stop, answers = threading.Event(), [0, 0]
    phase = 0
    failures: list[str] = []

    def client(number: int) -> None:
        while not stop.is_set():
            asker = Asker(f"http://127.0.0.1:{port}", timeout=30.0)
            try:
                while not stop.is_set():
                    asker.classify(asker.upload("p.png", _image(number)), [f"task-{number % TASKS}"])
                    answers[phase] += 1
            except (httpx.HTTPError, Refused, OSError) as error:
                failures.append(type(error).__name__)
                time.sleep(0.2)
            finally:
                asker.close()

    with _app(home, port):
        threads = [threading.Thread(target=client, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        time.sleep(5)
        stopping = time.perf_counter()
    stopped = time.perf_counter() - stopping
    phase = 1
    with _app(home, port):
        time.sleep(5)
        stop.set()
        for thread in threads:
            thread.join()
    with Registry.open(f"sqlite:///{home / 'registry.db'}", home / "artifacts") as registry:
        lost = sum(not registry.catalog.read_files(version) for version in registry.catalog.current())
    heard = ", ".join(sorted(set(failures)))
    return [
        at_most("end of the app while 8 clients ask", stopped, 15, " s"),
        at_least("answers before / after the restart, the fewer", min(answers), 1, note=f"{answers}"),
        Figure("questions that the restart cut off", str(len(failures)), note=heard),
        at_most("versions lost", lost, 0),
    ]
