"""Python facade: one frozen ViT, with adapters to train, save, load and run in a few lines."""

from __future__ import annotations

import os
import tempfile
import warnings
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, overload

import torch
from PIL import Image, ImageOps
from torch import nn

from loravit_web.adapters.adapter import Adapter
from loravit_web.adapters.config import ViTAdapterConfig
from loravit_web.adapters.files.bundle import Bundle, packed
from loravit_web.adapters.files.folder import is_adapter_folder, read_folder, write_folder
from loravit_web.adapters.files.format import AdapterFormatError, to_files
from loravit_web.backbones import Base, fastest_dtype, load_base
from loravit_web.backbones.preprocessing import Preprocessing
from loravit_web.backbones.timm_import import import_timm
from loravit_web.backbones.wrapping import wrap_base
from loravit_web.datasets import DatasetStore
from loravit_web.datasets.layout.plan import ClassLevel
from loravit_web.datasets.sources.opening import SAMPLE_PREFIX, name_of
from loravit_web.engine import fastest_engine
from loravit_web.errors import LoraVitError
from loravit_web.images.loading import load_rgb, to_rgb
from loravit_web.settings.environment import read_settings
from loravit_web.training.blocks import trainable_blocks
from loravit_web.training.data import split_data
from loravit_web.training.progress import Reporter, SilentReporter
from loravit_web.training.recipe import Recipe
from loravit_web.training.trainer import Trained, train

Images = torch.Tensor | Sequence[Image.Image | str | Path]
"""Normalized float tensor (B, 3, S, S), or images or paths of images."""


class NoActiveAdapter(LoraVitError):
    """A call that names no adapter while no adapter is active."""


class ViTFeatureExtractor:
    """A frozen ViT with any number of adapters.

    The active adapter is shared by all threads. Name the adapters in each call instead if several threads use
    the extractor; these calls are thread-safe.

    Args:
        config: Configuration of the adapters that `train` creates, or None for the default.
        base: ``embedded`` or the name of a timm model, downloaded if needed.
        backbone: timm ViT to use instead of ``base``. It is copied and not changed.
        image_size: Side in pixels of the images that `train` uses, and of images for PEFT's own folders.
        home: Data folder, or None for ``LORAVIT_HOME``.
        dtype: Data type of the computation, or None for the one that is faster here.

    Raises:
        LoraVitError: If the base cannot be loaded, is not a plain ViT, or does not fit the configuration.
    """

    def __init__(
        self,
        config: ViTAdapterConfig | None = None,
        *,
        base: str = "embedded",
        backbone: nn.Module | None = None,
        image_size: int = 224,
        home: str | Path | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        environ = {**os.environ, **({"LORAVIT_HOME": str(home)} if home is not None else {})}
        self.settings = read_settings(environ)
        self.base = _wrapped(backbone) if backbone is not None else self._loaded(base)
        self.config = config or _default_config(self.base)
        trainable_blocks(self.base, self.config, torch.Generator())
        self.image_size = self.base.preprocessing(image_size).image_size
        self.dtype = dtype or fastest_dtype(self.base)
        self.engine = fastest_engine(self.base, self.dtype)
        self.active: str | None = None

    def _loaded(self, name: str) -> Base:
        return load_base(name, self.settings.ensure_home().bases, lambda _fraction, _stage: None)

    @property
    def adapters(self) -> list[str]:
        """Names of the adapters in memory."""
        return self.engine.keys()

    def train(
        self,
        data: str | Path,
        *,
        name: str | None = None,
        epochs: int = 10,
        reporter: Reporter | None = None,
        classes_at: ClassLevel = None,
        **settings: Any,
    ) -> dict[str, float]:
        """Train an adapter, add it and make it active.

        Args:
            data: Zip, tar or folder with a folder per class, CSV with the columns path and label, JSON
                such as COCO, or ``sample:digits``.
            name: Name of the adapter, or None for the name of the data.
            epochs: Maximum number of epochs.
            reporter: Receives the progress and may stop the training.
            classes_at: Level of the class folders, 1 for the top folders, or "last" for the folders that
                directly contain the images; None to find it.
            settings: Other fields of `Recipe`, such as ``lr`` or ``batch_size``.

        Returns:
            ``val_accuracy``, ``val_loss``, ``linear_probe_accuracy`` and, if the data has test images,
            ``test_accuracy``. Accuracies are fractions from 0 to 1.

        Raises:
            LoraVitError: If the data or a setting cannot be used.
        """
        dataset = DatasetStore(
            self.settings.ensure_home().datasets, limits=self.settings.limits
        ).import_source(data, classes_at=classes_at)
        recipe = Recipe(
            preset="custom",
            **{
                "adapter": self.config,
                "image_size": self.image_size,
                "epochs": epochs,
                "min_steps": 0,
                **settings,
            },
        )
        with tempfile.TemporaryDirectory() as work:
            trained = train(
                self.base,
                self.dtype,
                split_data(dataset, recipe),
                recipe,
                work=Path(work),
                reporter=reporter or SilentReporter(),
            )
        name = name or _name_of(data)
        self.add_adapter(name, trained.adapter)
        self.active = name
        return _metrics(trained)

    def add_adapter(self, name: str, adapter: Adapter) -> None:
        """Add an adapter, or replace the one of the same name.

        Args:
            name: Name of the adapter.
            adapter: Adapter for this base.
        """
        self.engine.add(name, adapter, pinned=True)

    def save_adapters(self, folder: str | Path, *, name: str | None = None) -> None:
        """Write an adapter as a folder that this library and PEFT can load. Its zip is a bundle.

        Args:
            folder: Folder to write.
            name: Name of the adapter, or None for the active one.

        Raises:
            NoActiveAdapter: If no adapter is named or active.
            UnknownTask: If there is no adapter of that name.
            OSError: If the folder cannot be written.
        """
        name = self._named(name)
        files = to_files(self.engine.adapter(name), self.base, name=Path(folder).name, title=name)
        write_folder(packed(Bundle(Path(folder).name, name, files)), Path(folder))

    def load_all_adapters(self, folder: str | Path) -> list[str]:
        """Load one adapter folder, or all adapter folders in a folder, under the names of the folders.

        PEFT's own folders for a timm ViT can be read too; see `read_folder`.

        Args:
            folder: Adapter folder, or folder of adapter folders.

        Returns:
            The sorted names of the loaded adapters. Of several folders, those that cannot be used are left
            out with a warning.

        Raises:
            AdapterFormatError: If there is no adapter, or none that can be used.
        """
        folder = Path(folder)
        if not folder.is_dir():
            raise AdapterFormatError(f"There is no folder {folder}.")
        folders = (
            [folder] if is_adapter_folder(folder) else sorted(filter(is_adapter_folder, folder.iterdir()))
        )
        if not folders:
            raise AdapterFormatError(f"{folder} contains no folder with an adapter_config.json.")
        adapters, problems = {}, []
        for path in folders:
            try:
                adapters[path.name] = self._read(path)
            except AdapterFormatError as error:
                problems.append(error)
        if not adapters:
            raise problems[0]
        for problem in problems:
            warnings.warn(str(problem), stacklevel=2)
        for name, adapter in adapters.items():
            self.add_adapter(name, adapter)
        return list(adapters)

    def set_active_adapter(self, name: str) -> None:
        """Choose the adapter that `infer` uses if no adapter is named.

        Args:
            name: Name of the adapter.

        Raises:
            UnknownTask: If there is no adapter of that name.
        """
        self.engine.adapter(name)
        self.active = name

    def class_names(self, name: str | None = None) -> tuple[str, ...]:
        """Return the classes of an adapter in the order of its logits.

        Args:
            name: Name of the adapter, or None for the active one.

        Raises:
            NoActiveAdapter: If no adapter is named or active.
            UnknownTask: If there is no adapter of that name.
        """
        return self.engine.adapter(self._named(name)).class_names

    @overload
    def infer(self, images: Images) -> torch.Tensor: ...

    @overload
    def infer(self, images: Images, *, adapters: Sequence[str]) -> dict[str, torch.Tensor]: ...

    @overload
    def infer(self, images: Images, *, adapters_per_image: Sequence[str]) -> list[torch.Tensor]: ...

    def infer(
        self,
        images: Images,
        *,
        adapters: Sequence[str] | None = None,
        adapters_per_image: Sequence[str] | None = None,
    ) -> torch.Tensor | dict[str, torch.Tensor] | list[torch.Tensor]:
        """Return the logits of images.

        Args:
            images: B images. A tensor must have the side that the adapters expect.
            adapters: Names of adapters that are all applied to each image.
            adapters_per_image: Names of B adapters, one for each image.

        Returns:
            Logits (B, C) of the active adapter if no adapter is named. With ``adapters``, a dictionary of
            such logits by name. With ``adapters_per_image``, a list of B vectors (C,).

        Raises:
            NoActiveAdapter: If no adapter is named or active, or the names do not match the images.
            UnknownTask: If there is no adapter of a name.
            ImageError: If a file is not an image.
            LoraVitError: If a tensor does not have the size that an adapter expects.
        """
        if adapters is not None and adapters_per_image is not None:
            raise NoActiveAdapter("Both adapters and adapters_per_image are given. Use only one of them.")
        if adapters_per_image is not None:
            if len(adapters_per_image) != len(images):
                raise NoActiveAdapter(
                    f"adapters_per_image has {len(adapters_per_image)} names for {len(images)} images. "
                    "Name one adapter for each image."
                )
            answers = self._answers(images, [[name] for name in adapters_per_image])
            return [answer[name] for answer, name in zip(answers, adapters_per_image, strict=True)]
        names = list(dict.fromkeys(adapters)) if adapters is not None else [self._named(None)]
        answers = self._answers(images, [names] * len(images))
        logits = {name: self._stacked([answer[name] for answer in answers], name) for name in names}
        return logits if adapters is not None else logits[names[0]]

    def _answers(
        self, images: Images, assignment: Sequence[Sequence[str]]
    ) -> list[Mapping[str, torch.Tensor]]:
        if isinstance(images, torch.Tensor):
            return list(self.engine.forward(images, assignment))
        opened = [_opened(image) for image in images]
        answers: list[dict[str, torch.Tensor]] = [{} for _ in opened]
        for preprocessing, wanted in self._by_preprocessing(assignment).items():
            rows = [row for row, names in enumerate(wanted) if names]
            pixels = preprocessing([opened[row] for row in rows])
            found = self.engine.forward(pixels, [wanted[row] for row in rows])
            for row, answer in zip(rows, found, strict=True):
                answers[row] |= answer
        return list(answers)

    def _by_preprocessing(self, assignment: Sequence[Sequence[str]]) -> dict[Preprocessing, list[list[str]]]:
        """Return the assignment (adapter names per image), split by the preprocessing of the adapters."""
        parts: dict[Preprocessing, list[list[str]]] = defaultdict(lambda: [[] for _ in assignment])
        for row, names in enumerate(assignment):
            for name in names:
                parts[self.engine.adapter(name).preprocessing][row].append(name)
        return parts

    def _stacked(self, rows: list[torch.Tensor], name: str) -> torch.Tensor:
        return torch.stack(rows) if rows else torch.empty(0, len(self.class_names(name)))

    def _read(self, folder: Path) -> Adapter:
        try:
            return read_folder(folder, self.base, image_size=self.image_size)
        except LoraVitError as error:
            raise AdapterFormatError(f"The adapter in {folder} cannot be used. {error}") from error

    def _named(self, name: str | None) -> str:
        name = name or self.active
        if name is None:
            raise NoActiveAdapter("No adapter is active. Train one, or choose one with set_active_adapter.")
        return name


def _default_config(base: Base) -> ViTAdapterConfig:
    config = ViTAdapterConfig()
    return replace(config, blocks=min(config.blocks, base.depth)).resolved(base)


def _wrapped(backbone: nn.Module) -> Base:
    timm = import_timm()
    config = timm.data.resolve_model_data_config(backbone)
    architecture = getattr(backbone, "pretrained_cfg", {}).get("architecture") or type(backbone).__name__
    return wrap_base(
        backbone,
        name=architecture,
        architecture=architecture,
        mean=tuple(config["mean"]),
        std=tuple(config["std"]),
    )


def _opened(image: Image.Image | str | Path) -> Image.Image:
    if isinstance(image, Image.Image):
        return to_rgb(ImageOps.exif_transpose(image))
    return load_rgb(Path(image))


def _name_of(data: str | Path) -> str:
    """Return the name of data without the suffix of an archive or a table."""
    if str(data).startswith(SAMPLE_PREFIX):
        return str(data).removeprefix(SAMPLE_PREFIX)
    return name_of(Path(data))


def _metrics(trained: Trained) -> dict[str, float]:
    metrics = {
        "val_accuracy": trained.validation.accuracy,
        "val_loss": trained.validation.loss,
        "linear_probe_accuracy": trained.probe_validation_accuracy,
    }
    if trained.test is not None:
        metrics["test_accuracy"] = trained.test.accuracy
    if trained.validation.mean_average_precision is not None:
        metrics["val_map"] = trained.validation.mean_average_precision
    return metrics
