"""What every test may ask for: a tiny base, real weights where they can be had, and made-up images."""

from __future__ import annotations

import copy
import functools
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # tiny models: threads only wait for each other
os.environ.setdefault("LORAVIT_ENGINE", "torch")  # apps of tests must not measure and compile beside them

import numpy as np
import pytest
import sqlalchemy
import torch
from huggingface_hub import constants
from PIL import Image
from sqlalchemy import Engine, event
from xdist.scheduler import LoadFileScheduling

from loravit_web import extractor as extractor_module
from loravit_web import service as service_module
from loravit_web.access import passwords
from loravit_web.access.rights import member
from loravit_web.actions import Actions
from loravit_web.adapters.config import ViTAdapterConfig
from loravit_web.backbones import Base, load_base, wrap_base
from loravit_web.backbones.embedded import EmbeddedBaseError
from loravit_web.backbones.preprocessing import IMAGENET_MEAN, IMAGENET_STD
from loravit_web.backbones.timm_import import import_timm
from loravit_web.datasets import ImageDataset
from loravit_web.engine import MultiLoRAViT
from loravit_web.service import Service
from loravit_web.settings.environment import Settings
from loravit_web.training.recipe import Recipe
from loravit_web.worker import worker as worker_module
from loravit_web.worker.worker import Worker
from registry import UNKNOWN, Registry, Run
from registry.database import postgres as postgres_module
from registry.database import sqlite as sqlite_module
from tests import markers
from tests.hub_server import FakeHub

RECIPE = Recipe(image_size=32, epochs=3, min_steps=0, batch_size=8, adapter=ViTAdapterConfig(r=2, blocks=1))
"""A training of well under a second on the tiny base."""
SCRYPT = {"COST": passwords.COST, "PARALLEL": passwords.PARALLEL}
"""The app's parameters of scrypt, with which one hash takes 0.4 s."""
WAITING = "tests/worker/test_nodes.py"
"""File whose tests wait for nodes that are killed or cut off."""
SHARED_DATA = Path(__file__).resolve().parents[1].parent / "shared" / "data"


class _FileByFile(LoadFileScheduling):  # type: ignore[misc]
    """A file is run by one process; all files in a browser by the same one, for they share an app."""

    def _split_scope(self, nodeid: str) -> str:
        file = str(super()._split_scope(nodeid))
        return "browser" if file.startswith("tests/browser/") else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadFileScheduling:
    """How xdist deals out the tests."""
    return _FileByFile(config, log)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests before ``-m`` chooses among them; those that mostly wait come first."""
    markers.mark(items)
    items.sort(key=lambda item: not item.nodeid.startswith(WAITING))


def tiny_base(*, seed: int = 0, depth: int = 3, patch_size: int = 8, name: str = "tiny") -> Base:
    """A random ViT of width 32: milliseconds for a training step. Each has weights and caches of its own."""
    made = _made_base(seed, depth, patch_size, name)
    return made.with_model(copy.deepcopy(made.model))


def scaled_base() -> Base:
    """A random ViT of width 32 with a layer scale after attention and MLP, as DINOv2 has it."""
    return _made_base(1, 3, 8, "scaled", init_values=0.3)


@functools.cache
def _made_base(seed: int, depth: int, patch_size: int, name: str, init_values: float | None = None) -> Base:
    """Building and checking a base takes longer than copying it."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = import_timm().create_model(
            "vit_tiny_patch16_224",
            img_size=4 * patch_size,
            patch_size=patch_size,
            embed_dim=32,
            depth=depth,
            num_heads=2,
            num_classes=0,
            dynamic_img_size=True,
            init_values=init_values,
        )
    return wrap_base(
        model, name=name, architecture="vit_tiny_patch16_224", mean=IMAGENET_MEAN, std=IMAGENET_STD
    )


def _plain_engine(base: Base, dtype: torch.dtype, *, load: Any, **_measured: object) -> MultiLoRAViT:
    return MultiLoRAViT(base, dtype, load=load)


@pytest.fixture(scope="session", autouse=True)
def _nothing_is_measured() -> Iterator[None]:
    """What is fastest is not measured for every app and worker: it takes long, and differs by machine."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (service_module, worker_module):
            patch.setattr(module, "remembered_dtype", lambda _base, _remembers: torch.float32)
        patch.setattr(extractor_module, "fastest_dtype", lambda _base: torch.float32)
        patch.setattr(extractor_module, "fastest_engine", MultiLoRAViT)
        patch.setattr(service_module, "fastest_engine", _plain_engine)
        yield


@pytest.fixture(scope="session", autouse=True)
def _passwords_are_hashed_quickly() -> Iterator[None]:
    """Not slowly, which is what protects them; see `SCRYPT`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passwords, "COST", 2**10)
        patch.setattr(passwords, "PARALLEL", 1)
        yield


@pytest.fixture(scope="session", autouse=True)
def _statements_are_compiled_once() -> Iterator[None]:
    """Not by every engine anew, of which nearly each test opens one: a third of the registry's tests."""
    first: dict[str, Engine] = {}

    def create_engine(*given: Any, **named: Any) -> Engine:
        engine = sqlalchemy.create_engine(*given, **named)
        # what was compiled is found by the statement and the dialect itself
        like = first.get(engine.dialect.name)
        if like is not None:
            engine.dialect, engine._compiled_cache = like.dialect, like._compiled_cache
        else:  # the first that has connected: a dialect that never has does not know its server
            event.listen(engine, "engine_connect", lambda _connection: first.setdefault(engine.name, engine))
        return engine

    with pytest.MonkeyPatch.context() as patch:
        for module in (sqlite_module, postgres_module):
            patch.setattr(module, "create_engine", create_engine)
        yield


@pytest.fixture
def base() -> Base:
    """A tiny random base."""
    return tiny_base()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """An empty data folder and the tiny base."""
    return Settings(home=tmp_path / "home", base="tiny")


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty SQLite database, migrated once and copied for each test."""
    folder = tmp_path_factory.mktemp("migrated")
    Registry.open(f"sqlite:///{folder / 'registry.db'}", folder).close()
    return folder / "registry.db"


def tiny_service(settings: Settings) -> Service:
    """A service over the tiny base."""
    return Service(settings, load=lambda name, _folder, _progress: tiny_base(name=name))


def train_now(
    service: Service,
    dataset: ImageDataset,
    name: str,
    recipe: Recipe,
    worker: Worker,
    *,
    actor: str = UNKNOWN,
) -> Run:
    """Train in this process for somebody of any name, and return the ended run."""
    return Actions(service, member(actor, "admin")).train_now(dataset, name, recipe, worker)


@pytest.fixture(scope="session")
def trained_home(tmp_path_factory: pytest.TempPathFactory, migrated: Path) -> Path:
    """A data folder in which ann trained ``colours@1``, of red and green; to be copied."""
    folder = tmp_path_factory.mktemp("trained")
    home = folder / "home"
    home.mkdir()
    shutil.copy(migrated, home)
    service = tiny_service(Settings(home=home, base="tiny"))
    dataset = service.datasets.import_source(make_colours(folder / "colours", test=4))
    run = train_now(service, dataset, "Colours", RECIPE, service.new_worker(), actor="ann")
    service.close()
    assert run.published == "colours@1"
    return home


@pytest.fixture
def service(settings: Settings, migrated: Path, request: pytest.FixtureRequest) -> Iterator[Service]:
    """A service over the tiny base, with nothing in its catalog but what `colours` brings."""
    if "colours" in request.fixturenames:
        shutil.copytree(request.getfixturevalue("trained_home"), settings.home)
    else:
        settings.home.mkdir()
        shutil.copy(migrated, settings.home)
    service = tiny_service(settings)
    yield service
    service.close()


@pytest.fixture
def colours(service: Service) -> Run:
    """The run of ann's that published ``colours@1``; trained once and copied for each test."""
    (run,) = service.registry.runs.list()
    return run


@pytest.fixture(scope="session")
def embedded_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ``bases`` folder with the embedded base, fetched once for all processes of a test session."""
    own = tmp_path_factory.getbasetemp()
    folder = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "bases"
    try:
        load_base("embedded", folder, lambda _fraction, _stage: None)
    except EmbeddedBaseError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"the embedded base can't be fetched here: {error}")
    return folder


@pytest.fixture
def embedded_home(tmp_path: Path, embedded_folder: Path) -> Path:
    """An otherwise empty data folder in which the embedded base is already there."""
    home = tmp_path / "home"
    home.mkdir()
    (home / "bases").symlink_to(embedded_folder, target_is_directory=True)
    return home


@pytest.fixture
def photographs() -> Path:
    """The folder of real photographs that lies beside the repository on a developer's machine."""
    folder = SHARED_DATA / "photos"
    if not folder.is_dir():
        pytest.skip("the photographs are not here (../shared/data/photos)")
    return folder


ColourFolders = Callable[..., Path]


@pytest.fixture
def colour_folders(tmp_path: Path) -> ColourFolders:
    """Makes class folders of noisy red, green or blue images, which any ViT tells apart."""
    return functools.partial(make_colours, tmp_path / "colours")


def make_colours(
    root: Path, *, per_class: int = 12, test: int = 0, names: tuple[str, ...] = ("red", "green")
) -> Path:
    """Write class folders of noisy red, green or blue images; returns where they are."""
    generator = np.random.default_rng(0)
    for split, count in (("train", per_class), ("test", test)):
        for channel, name in enumerate(names):
            folder = root / split / name
            folder.mkdir(parents=True, exist_ok=True)
            for index in range(count):
                pixels = generator.integers(0, 90, (32, 32, 3), dtype=np.uint8)
                pixels[:, :, channel % 3] += 150
                Image.fromarray(pixels).save(folder / f"{index}.png")
    return root if test else root / "train"


@pytest.fixture
def fake_hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    """A small Hub on loopback, which the client may ask although no test may ask the real one."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)  # a protocol of its own, native code
    hub = FakeHub()
    thread = threading.Thread(target=hub.server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield hub
    hub.server.shutdown()
    hub.server.server_close()
    thread.join()


@pytest.fixture(autouse=True)
def _no_network_for_models(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No test depends on a model hub."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("GRADIO_ANALYTICS_ENABLED", "False")
    yield
