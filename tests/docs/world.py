"""A folder in which the examples of the documents run: their files, and a catalog with their names."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from loravit_web.access.actions import UserActions
from loravit_web.access.rights import SHELL
from loravit_web.backbones import Base
from loravit_web.service import Service
from loravit_web.settings.environment import Settings
from tests.conftest import RECIPE, make_colours, tiny_base, train_now

DEPTH, PATCH_SIZE = 6, 28
"""Blocks of the base, as many as any preset adapts; and the side of its large and so few patches."""
IMAGES = 60
"""Of each class: with fewer, a preset trains for more epochs."""
PASSWORD = "correct horse battery"


def load_tiny(name: str, _folder: Path, _progress: Callable[[float, str], None]) -> Base:
    """Load a tiny base under the name of any other."""
    return tiny_base(name=name, depth=DEPTH, patch_size=PATCH_SIZE)


def service_in(folder: Path, *, mode: str = "local") -> Service:
    """Open the data folder of a world."""
    settings = Settings(home=folder / "home", uploads=folder / "uploads", mode=mode)  # type: ignore[arg-type]
    return Service(settings, load=load_tiny)


def make_world(folder: Path) -> str:
    """Fill a folder; return the id of the run that published ``flowers@2``.

    It gets the files that the examples name, two versions each of ``flowers`` and ``objects``, and the member
    ann.
    """
    flowers = make_colours(folder / "flowers", per_class=IMAGES, test=4)
    birds = make_colours(folder / "birds", names=("robin", "wren"))
    for name, images in (("flowers", flowers), ("birds", birds)):
        shutil.make_archive(str(folder / name), "zip", images)
    (folder / "photos").mkdir()
    for place in ("rose.png", "robin.png", "photos/tulip.png"):
        shutil.copy(flowers / "test" / "red" / "0.png", folder / Path(place).with_suffix(".jpg"))
    for name, numbers in (("tulips", (0, 1)), ("holiday", (2,))):  # images that flowers does not have
        (folder / name).mkdir()
        for number in numbers:
            shutil.copy(birds / "wren" / f"{number}.png", folder / name / f"{number}.jpg")
    shutil.make_archive(str(folder / "holiday"), "zip", folder / "holiday")
    service = service_in(folder)
    dataset = service.datasets.import_source(flowers)
    for name in ("Objects", "Flowers"):
        for seed in (0, 1):
            recipe = replace(RECIPE, seed=seed, image_size=2 * PATCH_SIZE)
            run = train_now(service, dataset, name, recipe, service.new_worker(), actor="ann")
    UserActions(service.registry, SHELL).add("ann", PASSWORD, "admin")
    service.close()
    assert run.published == "flowers@2", run.error
    return run.id
