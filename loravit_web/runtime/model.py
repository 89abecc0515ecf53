"""An exported folder that answers: sessions of its graphs, and heads in NumPy."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image

from loravit_web.errors import LoraVitError
from loravit_web.images.loading import load_rgb
from loravit_web.images.whites import levels_of, scaled
from loravit_web.runtime.answers import ExportedAnswer, answer_of
from loravit_web.runtime.layout import (
    Export,
    ExportDamaged,
    ExportedTask,
    Graph,
    Novelty,
    Tap,
    read_export,
)
from loravit_web.runtime.tensors import Array, read_tensors

INSTALL = 'pip install "loravit-web[onnx]"'
"""Command that installs onnxruntime."""

Source = str | Path | bytes | BinaryIO | Image.Image
"""An image: its file, its bytes, or a decoded RGB image."""


class RuntimeMissing(LoraVitError):
    """onnxruntime is not installed."""


class UnknownExportedTask(LoraVitError):
    """A task that an exported folder does not have."""


@dataclass(frozen=True)
class Outputs:
    """What graphs compute for B images.

    Attributes:
        tokens: Tokens (B, N, D) after the last graph; None after the last block.
        pooled: Parts (B, L, P, D) of the tokens after each of the L blocks so far.
        features: Features (B, P, D) after the last block; None before it.
    """

    tokens: Array | None
    pooled: Array
    features: Array | None


@dataclass(frozen=True)
class _Loaded:
    """Tensors of a task, ready for use."""

    inputs: Mapping[str, Array]
    head_weight: Array
    head_bias: Array
    novelty: tuple[Array, Array, Array] | None


class ExportedModel:
    """The tasks of an exported folder. Thread-safe.

    Graphs and adapters are read when they are first needed.

    Args:
        folder: The exported folder.
        threads: Number of threads, or None for one per core.
    """

    def __init__(self, folder: str | Path, *, threads: int | None = None) -> None:
        self.folder = Path(folder)
        self.export: Export = read_export(self.folder)
        self._threads = threads
        self._sessions: dict[int, Any] = {}
        self._adapters: dict[str, _Loaded] = {}
        self._lock = threading.Lock()

    @property
    def tasks(self) -> tuple[ExportedTask, ...]:
        """The tasks of the folder."""
        return self.export.tasks

    def task(self, name: str) -> ExportedTask:
        """Return the task of a name: ``flowers@2``, or ``flowers`` for its newest exported version.

        Raises:
            UnknownExportedTask: If the folder does not have it.
        """
        found = [one for one in self.tasks if name in (one.task, one.task.partition("@")[0])]
        if not found:
            raise UnknownExportedTask(
                f"{self.folder} has no task {name[:80]}. It has {', '.join(one.task for one in self.tasks)}."
            )
        return found[-1]

    def classify(
        self, image: Source, tasks: Sequence[str] | None = None, *, top_k: int = 5
    ) -> list[ExportedAnswer]:
        """Return the answer of each task for an image; the blocks that tasks share run once.

        Args:
            image: The image, in any format that the app reads.
            tasks: Names of tasks, or None for all.
            top_k: Maximum number of labels per task.

        Raises:
            ImageError: If the image cannot be read.
            UnknownExportedTask: If the folder does not have a task.
            ExportDamaged: If a file of the folder is missing or damaged.
            RuntimeMissing: If onnxruntime is not installed.
        """
        chosen = self.tasks if tasks is None else [self.task(name) for name in dict.fromkeys(tasks)]
        rgb = image if isinstance(image, Image.Image) else load_rgb(image)
        shared: dict[tuple[Any, ...], Any] = {}
        answers = []
        for task in chosen:
            key = (task.image_size, task.mean, task.std, task.whites)
            if key not in shared:
                shared[key] = (preprocessed(rgb, task), {})
            pixels, cache = shared[key]
            logits, novelty = self.run(task, pixels, cache)
            answers.append(
                answer_of(task, logits[0], None if novelty is None else float(novelty[0]), max(1, top_k))
            )
        return answers

    def run(
        self, task: ExportedTask, pixels: Array, cache: dict[tuple[int, ...], Outputs] | None = None
    ) -> tuple[Array, Array | None]:
        """Return the logits (B, C) and the novelty (B,) of normalized images (B, 3, S, S).

        Args:
            task: A task of this folder.
            pixels: The images.
            cache: What shared graphs computed for the same images, by their indices; extended.
        """
        loaded = self._adapter(task)
        found = self._outputs(task, pixels, {} if cache is None else cache, loaded.inputs)
        columns = [found.features[:, part] for part in task.head.features if found.features is not None]
        read = np.concatenate([*columns, *_tapped(found.pooled, task.head.taps)], axis=1)
        logits = read @ loaded.head_weight.T + loaded.head_bias
        if task.novelty is None or loaded.novelty is None:
            return logits, None
        return logits, _novelty(task.novelty, loaded.novelty, found.pooled)

    def _outputs(
        self,
        task: ExportedTask,
        pixels: Array,
        cache: dict[tuple[int, ...], Outputs],
        inputs: Mapping[str, Array],
    ) -> Outputs:
        parts = len(self.export.parts)
        found = Outputs(pixels, np.empty((len(pixels), 0, parts, 0), dtype=np.float32), None)
        for count, index in enumerate(task.graphs, start=1):
            graph, key = self.export.graphs[index], task.graphs[:count]
            if graph.branch:
                found = self._step(index, graph, found, inputs)
            else:
                if key not in cache:
                    cache[key] = self._step(index, graph, found, {})
                found = cache[key]
        return found

    def _step(self, index: int, graph: Graph, before: Outputs, inputs: Mapping[str, Array]) -> Outputs:
        session = self._session(index)
        first = "tokens" if graph.image_size is None else "pixels"
        names = [output.name for output in session.get_outputs()]
        found = dict(zip(names, session.run(names, {first: before.tokens, **inputs}), strict=True))
        pooled = found.get("pooled")
        if pooled is None:
            pooled = before.pooled
        elif before.pooled.shape[1]:
            pooled = np.concatenate([before.pooled, pooled], axis=1)
        return Outputs(found.get("next"), pooled, found.get("features"))

    def _session(self, index: int) -> Any:
        with self._lock:
            if index not in self._sessions:
                self._sessions[index] = new_session(
                    self.folder / self.export.graphs[index].file, self._threads
                )
            return self._sessions[index]

    def _adapter(self, task: ExportedTask) -> _Loaded:
        with self._lock:
            if task.task not in self._adapters:
                self._adapters[task.task] = self._read(task)
            return self._adapters[task.task]

    def _read(self, task: ExportedTask) -> _Loaded:
        path = self.folder / task.folder / task.weights
        try:
            data = path.read_bytes()
        except OSError as error:
            raise ExportDamaged(f"{path} cannot be read. Export the task again.") from error
        if hashlib.sha256(data).hexdigest() != task.weights_sha256:
            raise ExportDamaged(f"{path} differs from its hash in the export. Export the task again.")
        tensors = read_tensors(data, str(path))
        graph = self.export.graphs[task.graphs[-1]]
        try:
            inputs = {name: tensors[one.tensor] * np.float32(one.scale) for name, one in task.inputs.items()}
            for name, shape in graph.inputs.items():  # layers that the adapter does not change
                inputs.setdefault(name, np.zeros([side or 1 for side in shape], dtype=np.float32))
            weights = [tensors[name] for name in task.head.weights]
            return _Loaded(
                inputs=inputs,
                head_weight=np.concatenate(weights, axis=1),
                head_bias=tensors[task.head.bias],
                novelty=None if task.novelty is None else _novelty_tensors(task.novelty, tensors),
            )
        except (KeyError, ValueError) as error:
            raise ExportDamaged(f"{path} lacks a tensor of {task.task}. Export the task again.") from error


def load(folder: str | Path, *, threads: int | None = None) -> ExportedModel:
    """Return the model of an exported folder.

    Args:
        folder: The exported folder.
        threads: Number of threads, or None for one per core.

    Raises:
        ExportDamaged: If the folder is not an export, or a damaged one.
    """
    return ExportedModel(folder, threads=threads)


def preprocessed(image: Image.Image, task: ExportedTask) -> Array:
    """Return an RGB image of any size as normalized float32 pixels (1, 3, S, S), as the app does."""
    side = task.image_size
    resized = np.asarray(image.resize((side, side), Image.Resampling.BICUBIC))
    pixels = scaled(resized, levels_of(image), task.whites).astype(np.float32)
    mean, std = (np.array(values, dtype=np.float32) * np.float32(255) for values in (task.mean, task.std))
    return np.ascontiguousarray(((pixels - mean) / std).transpose(2, 0, 1)[None])


def new_session(path: Path, threads: int | None) -> Any:
    """Return a session of an ONNX file on the CPU.

    Args:
        path: The file.
        threads: Number of threads, or None for one per core.

    Raises:
        RuntimeMissing: If onnxruntime is not installed.
        ExportDamaged: If the file cannot be loaded.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise RuntimeMissing(f"Exported tasks need onnxruntime. Install it: {INSTALL}") from error
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # the reasons of failures are raised anyway
    if threads is not None:
        options.intra_op_num_threads = threads
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise ExportDamaged(f"{path} cannot be loaded. Export the tasks again.") from error


def _novelty_tensors(novelty: Novelty, tensors: Mapping[str, Array]) -> tuple[Array, Array, Array]:
    return tensors[novelty.center], tensors[novelty.scale], tensors[novelty.directions]


def _tapped(pooled: Array, taps: Sequence[Tap]) -> list[Array]:
    return [pooled[:, block - 1, part] for block, part in taps]


def _novelty(novelty: Novelty, tensors: tuple[Array, Array, Array], pooled: Array) -> Array:
    center, scale, directions = tensors
    z = (np.concatenate(_tapped(pooled, novelty.taps), axis=1) - center) / scale
    inside = z @ directions.T
    residual = np.maximum((z**2).sum(axis=1) - (inside**2).sum(axis=1), 0) / z.shape[1]
    return np.asarray(residual / np.float32(novelty.threshold), dtype=np.float32)
