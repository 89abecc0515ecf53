"""The real app in a process of its own, on the embedded base, and a real Chromium to look at it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import uuid4

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from loravit_web.service import Service
from loravit_web.settings.environment import Settings
from loravit_web.training.recipe import preset_recipe
from loravit_web.ui.launch import App
from registry import NewBase, NewVersion, Registry
from tests.conftest import make_colours, tiny_service, train_now
from tests.ui.conftest import RunningApp

ROOT = Path(__file__).resolve().parents[2]
# Two cores may be shared by the app, its training, the browser and another file's tests.
expect.set_options(timeout=15_000)
# The shell draws no windows that nobody sees, which takes the browser as long as a page.
NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
# Nothing in the page needs the network; without these Chromium looks for its maker's hosts.
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # a camera with a moving test image
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A headless Chromium; without one these tests skip, except in CI, where that is a failure."""
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        message = "no Chromium here: install it, for example with apt-get install chromium-headless-shell"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        yield browser
        browser.close()


@dataclass(frozen=True)
class AppProcess:
    """A running ``python app.py``."""

    url: str
    home: Path
    process: subprocess.Popen[str]


@pytest.fixture(scope="session")
def app(embedded_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppProcess]:
    """One app for all tests; it began with one adapter, ``shades@1``, that tells red from green."""
    folder = tmp_path_factory.mktemp("app")
    home = new_home(folder, embedded_folder)
    publish_shades(home, folder)
    yield from start_app(home)


@pytest.fixture
def empty_app(tmp_path: Path) -> Iterator[RunningApp]:
    """An app in this process with nothing in its catalog."""
    with app_in(tmp_path) as app:
        yield app


@pytest.fixture(scope="module")
def fitting_app(tmp_path_factory: pytest.TempPathFactory, trained_home: Path) -> Iterator[RunningApp]:
    """An app in this process with three tasks, two of which fit the first example."""
    with app_in(tmp_path_factory.mktemp("fitting")) as app:
        for slug in ("handwritten-digits", "everyday-objects", "animal-or-vehicle"):
            publish_copy("colours@1", trained_home, app.service.settings.home, slug)
        yield app


@contextmanager
def app_in(folder: Path) -> Iterator[RunningApp]:
    """Run an app over the tiny base in this process, with an empty data folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(folder / "gradio"))
        service = tiny_service(Settings(home=folder / "home", base="tiny", bundled=False))
        app = App.over(service)
        with ThreadPoolExecutor(1) as elsewhere:  # Playwright runs the loop of this thread
            url = elsewhere.submit(app.launch, host="127.0.0.1", block=False).result()
        yield RunningApp(url, app.demo, service, folder)
        app.close()


def new_home(folder: Path, bases: Path) -> Path:
    """A data folder in which the embedded base is already there."""
    home = folder / "home"
    home.mkdir()
    (home / "bases").symlink_to(bases, target_is_directory=True)
    return home


def start_app(home: Path) -> Iterator[AppProcess]:
    """Run ``python app.py`` on a data folder until the test ends."""
    environment = {
        **os.environ,
        "LORAVIT_HOME": str(home),
        "LORAVIT_BUNDLED": "no",
        "GRADIO_TEMP_DIR": str(home.with_name("gradio")),
    }
    process = subprocess.Popen(
        [sys.executable, "app.py"], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    assert "is ready" in line, line
    yield AppProcess(line.split()[-1], home, process)
    process.send_signal(signal.SIGTERM)
    time.sleep(0.2)
    process.send_signal(signal.SIGTERM)  # who stops it may be impatient
    assert process.wait(timeout=30) == 0


Visit = Callable[..., Page]


@pytest.fixture
def visit(browser: Browser) -> Iterator[Visit]:
    """Opens pages, each in a context, and so a session, of its own: ``visit(url, width=1280)``."""
    with ExitStack() as contexts:

        def open_page(url: str, *, width: int = 1280) -> Page:
            # a language that Gradio knows and the page does not
            context = browser.new_context(viewport={"width": width, "height": 900}, locale="fr-FR")
            contexts.callback(context.close)
            page = context.new_page()
            page.set_default_timeout(30_000)
            page.goto(url)
            page.wait_for_selector("#tabs")
            return page

        yield open_page


@pytest.fixture
def page(visit: Visit, app: AppProcess) -> Page:
    """The app's page at 1280 px."""
    return visit(app.url)


def publish_shades(home: Path, folder: Path) -> None:
    """Train and publish ``shades`` in this process."""
    service = Service(Settings(home=home))
    try:
        recipe = replace(preset_recipe("quick", blocks=1, r=2, image_size=56), epochs=2, min_steps=0)
        dataset = service.datasets.import_source(make_colours(folder / "shades", per_class=8, test=2))
        run = train_now(service, dataset, "Shades", recipe, service.new_worker())
        assert run.status == "completed", run.error
    finally:
        service.close()


def registry_of(home: Path) -> Registry:
    """The registry of a data folder."""
    return Registry.open(f"sqlite:///{home / 'registry.db'}", home / "artifacts")


def publish_copy(ref: str, source: Path, target: Path, slug: str, *, differing: bool = False) -> None:
    """Publish the files of a version in one data folder as another adapter in another folder, or the same.

    The same files stay one version, unless they are to be ``differing``: then each copy has another card.
    """
    with registry_of(source) as source_registry, registry_of(target) as target_registry:
        original = source_registry.catalog.resolve(ref)
        base = original.base
        target_base = target_registry.bases.ensure(
            NewBase(base.name, base.weights_sha256, base.architecture, base.embed_dim, base.depth)
        )
        files: dict[str, bytes | Path] = {**source_registry.catalog.read_files(original)}
        if differing:
            files["README.md"] = uuid4().hex.encode()
        target_registry.catalog.publish(
            NewVersion(
                slug=slug,
                title=slug.title(),
                description="",
                run_id=None,
                base_id=target_base.id,
                dataset_id=None,
                adapter_type=original.adapter_type,
                n_params=original.n_params,
                image_size=original.image_size,
                class_names=original.class_names,
                config=original.config,
                files=files,
            ),
            actor="ann",
        )
