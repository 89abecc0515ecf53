"""Checks of the installed software, the disk and the base."""

from __future__ import annotations

import os
import platform
import shutil
import sqlite3
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version

from loravit_web.backbones import RememberedChoices
from loravit_web.backbones.device import DeviceUnusable, chosen_device
from loravit_web.backbones.embedded import WEIGHTS_SHA256, EmbeddedBaseError, read_embedded
from loravit_web.backbones.measured import ENGINE_FOR
from loravit_web.doctor.report import Finding
from loravit_web.settings.environment import Settings

PACKAGES = (
    "torch",
    "torchvision",
    "timm",
    "gradio",
    "sqlalchemy",
    "alembic",
    "safetensors",
    "pandas",
    "fsspec",
)
NEEDED_BYTES = 1 << 30
"""Free space that training needs, in bytes."""


def programs() -> Iterator[Finding]:
    """Report the versions of Python and the main packages."""
    yield Finding("ok", "python", f"{platform.python_version()} on {platform.platform()}")
    yield Finding("ok", "sqlite", sqlite3.sqlite_version)
    for name in PACKAGES:
        try:
            yield Finding("ok", name, version(name))
        except PackageNotFoundError:
            yield Finding("problem", name, "not installed. Run pip install -r requirements.txt.")


def device(settings: Settings) -> Finding:
    """Report the device that answers and trainings use, and why."""
    try:
        found = chosen_device(settings.device)
    except DeviceUnusable as error:
        return Finding("problem", "device", str(error))
    return Finding("ok", "device", f"{found.name}. {found.reason}")


def engine(settings: Settings) -> Finding:
    """Report what computes few images on a CPU, and what was measured for it."""
    try:
        installed = version("openvino")
    except PackageNotFoundError:
        text = 'OpenVINO is not installed. Run pip install "loravit-web[openvino]"'
        if settings.engine == "openvino":
            return Finding("problem", "engine", f"LORAVIT_ENGINE is openvino, but {text}.")
        return Finding("ok", "engine", f"PyTorch. {text}, which answers single images faster on many CPUs.")
    if settings.engine == "torch":
        return Finding("ok", "engine", "PyTorch. LORAVIT_ENGINE is torch.")
    text = f"OpenVINO {installed} for few images on a CPU"
    if settings.engine == "openvino":
        return Finding("ok", "engine", f"{text}, PyTorch for the rest. LORAVIT_ENGINE is openvino.")
    measured = RememberedChoices(settings.measurements).chosen(ENGINE_FOR)
    found = "; ".join(f"{shape}: {chosen}" for shape, chosen in measured) or "nothing yet"
    return Finding("ok", "engine", f"{text} where it is faster, PyTorch for the rest. Measured: {found}.")


def disk(settings: Settings) -> Iterator[Finding]:
    """Check that the data folder can be written and has free space."""
    folder = next(path for path in (settings.home, *settings.home.parents) if path.exists())
    free = shutil.disk_usage(folder).free
    text = f"{settings.home}, {free / 1e9:.1f} GB free"
    if not os.access(folder, os.W_OK):
        text = f"{text}. {folder} cannot be written. Set LORAVIT_HOME to another folder."
        yield Finding("problem", "data folder", text)
    elif free < NEEDED_BYTES:
        yield Finding("problem", "data folder", f"{text}. Free some space: training needs about 1 GB.")
    else:
        yield Finding("ok", "data folder", text)


def base(settings: Settings) -> Finding:
    """Check the weights of the base."""
    if settings.base != "embedded":
        return Finding("note", "base", f"{settings.base}, from the artifact store or the model hub")
    try:
        found = read_embedded(settings.bases)
    except EmbeddedBaseError as error:
        return Finding("problem", "base", str(error))
    if found is None:
        return Finding("note", "base", "embedded, downloaded at the first start (90 MB)")
    return Finding("ok", "base", f"embedded, weights {WEIGHTS_SHA256[:12]} verified")
