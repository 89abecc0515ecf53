"""The Python facade: one frozen ViT, and adapters to train, save, load and ask, in a few lines."""

from __future__ import annotations

import os
import tempfile
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
from loravit_web.backbones.base import wrap_base
from loravit_web.backbones.preprocessing import Preprocessing
from loravit_web.backbones.timm_import import import_timm
from loravit_web.datasets import DatasetStore
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
"""A normalised float tensor (B, 3, S, S), or pictures or paths of pictures."""


class NoActiveAdapter(LoraVitError):
    """An answer or a file was asked of an adapter that nobody named."""


class ViTFeatureExtractor:
    """A frozen ViT with any number of adapters.

    `set_active_adapter` is for one person at a time; threads name their adapters in each call instead,
    which is safe from any number of them.
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
        """
        Args:
            config: of the adapters that `train` makes.
            base: ``embedded`` or a timm model name; fetched if need be.
            backbone: a timm ViT of your own instead; it is copied and not changed.
            image_size: side of the pictures that `train` trains on, and that PEFT's folders are asked about.
            home: the folder of all data; ``LORAVIT_HOME`` when None.
            dtype: the precision to compute in; the measured faster one when None.

        Raises:
            LoraVitError: if the base can't be had, is no plain ViT, or does not fit the rest.
        """
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
        **settings: Any,
    ) -> dict[str, float]:
        """Train an adapter, keep it in memory and make it the active one.

        Args:
            data: a zip or folder of class folders, a CSV of path,label, or ``sample:digits``.
            name: of the adapter; the data's own name when None.
            epochs: at most.
            reporter: told of the progress; may stop the training.
            settings: other fields of `Recipe`, such as ``lr`` or ``batch_size``.

        Returns:
            ``val_accuracy``, ``val_loss``, ``linear_probe_accuracy``, and ``test_accuracy`` where the data
            has test images.

        Raises:
            LoraVitError: for data or settings that can't be used.
        """
        dataset = DatasetStore(
            self.settings.ensure_home().datasets, limits=self.settings.limits
        ).import_source(data)
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
        name = name or Path(str(data).partition(":")[2] or data).stem
        self.add_adapter(name, trained.adapter)
        self.active = name
        return _metrics(trained)

    def add_adapter(self, name: str, adapter: Adapter) -> None:
        """Keep an adapter in memory, in place of one of that name."""
        self.engine.add(name, adapter, pinned=True)

    def save_adapters(self, folder: str | Path, *, name: str | None = None) -> None:
        """Write an adapter as a folder that this library and PEFT can load; its zip is a bundle.

        Args:
            name: of the adapter; the active one when None.

        Raises:
            NoActiveAdapter: if none is named or active.
            UnknownTask: if there is none of that name.
            OSError: if the folder can't be written.
        """
        name = self._named(name)
        files = to_files(self.engine.adapter(name), self.base, name=Path(folder).name, title=name)
        write_folder(packed(Bundle(Path(folder).name, name, files)), Path(folder))

    def load_all_adapters(self, folder: str | Path) -> list[str]:
        """Load a folder of adapter folders, or one such folder; each is named as its folder is.

        PEFT's own folders for a timm ViT are read too; see `read_folder`.

        Returns:
            The names, sorted.

        Raises:
            AdapterFormatError: if there is none, or one can't be used; nothing is loaded then.
        """
        folder = Path(folder)
        if not folder.is_dir():
            raise AdapterFormatError(f"There is no folder {folder}.")
        folders = (
            [folder] if is_adapter_folder(folder) else sorted(filter(is_adapter_folder, folder.iterdir()))
        )
        if not folders:
            raise AdapterFormatError(f"{folder} holds no folder with an adapter_config.json.")
        adapters = {one.name: self._read(one) for one in folders}
        for name, adapter in adapters.items():
            self.add_adapter(name, adapter)
        return list(adapters)

    def set_active_adapter(self, name: str) -> None:
        """Choose whom `infer` asks when no adapter is named.

        Raises:
            UnknownTask: if there is none of that name.
        """
        self.engine.adapter(name)
        self.active = name

    def class_names(self, name: str | None = None) -> tuple[str, ...]:
        """The classes of an adapter, in the order of its logits; of the active one when None."""
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
        """Logits of pictures.

        Args:
            images: B of them; as a tensor they must have the side that the adapters take.
            adapters: ask all of these about each picture.
            adapters_per_image: ask one of these about each picture, in order.

        Returns:
            Without names the active adapter's logits (B, C); with ``adapters`` such logits by name; with
            ``adapters_per_image`` one vector (C,) for each picture.

        Raises:
            NoActiveAdapter, UnknownTask: if nobody is asked, or somebody who is not there.
            ImageError: for a file that is no picture.
            LoraVitError: for tensors of another size than an adapter takes.
        """
        if adapters is not None and adapters_per_image is not None:
            raise NoActiveAdapter("Name either adapters or adapters_per_image, not both.")
        if adapters_per_image is not None:
            if len(adapters_per_image) != len(images):
                raise NoActiveAdapter(
                    f"{len(adapters_per_image)} adapters are named for {len(images)} images: name one each."
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
        pictures = [_picture(image) for image in images]
        answers: list[dict[str, torch.Tensor]] = [{} for _ in pictures]
        for preprocessing, wanted in self._by_preprocessing(assignment).items():
            rows = [row for row, names in enumerate(wanted) if names]
            pixels = preprocessing([pictures[row] for row in rows])
            found = self.engine.forward(pixels, [wanted[row] for row in rows])
            for row, answer in zip(rows, found, strict=True):
                answers[row] |= answer
        return list(answers)

    def _by_preprocessing(self, assignment: Sequence[Sequence[str]]) -> dict[Preprocessing, list[list[str]]]:
        """The assignment by what the pictures of each adapter go through."""
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
            raise AdapterFormatError(f"The adapter in {folder} can't be used: {error}") from error

    def _named(self, name: str | None) -> str:
        name = name or self.active
        if name is None:
            raise NoActiveAdapter("No adapter is active: train one, or choose one with set_active_adapter.")
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


def _picture(image: Image.Image | str | Path) -> Image.Image:
    if isinstance(image, Image.Image):
        return to_rgb(ImageOps.exif_transpose(image))
    return load_rgb(Path(image))


def _metrics(trained: Trained) -> dict[str, float]:
    metrics = {
        "val_accuracy": trained.validation.accuracy,
        "val_loss": trained.validation.loss,
        "linear_probe_accuracy": trained.probe_validation_accuracy,
    }
    if trained.test is not None:
        metrics["test_accuracy"] = trained.test.accuracy
    return metrics
