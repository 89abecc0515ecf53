"""Data folders to measure in, with the base weights of whoever calls."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.support.adapters import publish_random
from loravit_web.adapters import ViTAdapterConfig
from loravit_web.backbones import Base, load_base
from loravit_web.settings.environment import read_settings
from registry import Registry


def embedded_base() -> Base:
    """The embedded base, fetched where it isn't there yet."""
    bases = read_settings(os.environ).bases
    return load_base("embedded", bases, lambda _fraction, stage: print(stage, file=sys.stderr))


def with_bases(home: Path) -> Path:
    """The folder, made where need be, with the base weights in it where the caller has some."""
    home.mkdir(exist_ok=True)
    bases = read_settings(os.environ).bases
    if bases.is_dir():
        (home / "bases").symlink_to(bases, target_is_directory=True)
    return home


@contextmanager
def home_of_tasks(base: Base, tasks: int, config: ViTAdapterConfig, *, image_size: int) -> Iterator[Path]:
    """A data folder for a while, with ``task-0``, ``task-1`` and so on, which nobody trained."""
    with tempfile.TemporaryDirectory() as folder:
        home = with_bases(Path(folder) / "home")
        with open_registry(home) as registry:
            for number in range(tasks):
                publish_random(registry, base, f"task-{number}", number, config, image_size=image_size)
        yield home


def open_registry(home: Path) -> Registry:
    """The registry of a data folder."""
    return Registry.open(f"sqlite:///{home / 'registry.db'}", home / "artifacts")
