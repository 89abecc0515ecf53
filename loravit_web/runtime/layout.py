"""Layout of an exported folder: ``export.json``, and what it says about graphs and tasks.

``export.json`` names the graphs and, for each task, which of them compute it, with which of the adapter's
tensors as inputs, and how the result is read. The files of each adapter lie beside them as the catalog has
them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal, get_args

from loravit_web.errors import LoraVitError
from loravit_web.images.whites import Whites
from loravit_web.util.labels import LABELS, Labels

EXPORT_FILE = "export.json"
"""Name of the document at the top of an exported folder."""
FORMAT, VERSION = "loravit-onnx", 1
"""Name and version of the format."""
Precision = Literal["fp32", "fp16", "int8"]
"""How the weights of the base are stored. Everything is computed in float32."""
PRECISIONS: tuple[Precision, ...] = get_args(Precision)

Tap = tuple[int, int]
"""Number of a block, from 1, and index of one of the base's parts: class token or mean of the patches."""


class ExportDamaged(LoraVitError):
    """A folder that is not an export, or a damaged one."""


@dataclass(frozen=True)
class Graph:
    """A graph that runs some blocks of the base.

    Attributes:
        file: Name of the ONNX file.
        start: Index of its first block. The graph that starts at 0 and is no branch also embeds the pixels.
        stop: Index after its last block.
        branch: Whether an adapter changes its blocks, so that each task runs it with inputs of its own.
        image_size: Side of the images that it embeds, or None if it starts from tokens.
        inputs: Shape of each input that an adapter provides; None is a dimension of any size.
    """

    file: str
    start: int
    stop: int
    branch: bool
    image_size: int | None
    inputs: Mapping[str, tuple[int | None, int | None]]


@dataclass(frozen=True)
class Input:
    """A tensor of an adapter that is an input of a graph.

    Attributes:
        tensor: Name of the tensor in the file of the adapter.
        scale: Factor of the tensor.
    """

    tensor: str
    scale: float


@dataclass(frozen=True)
class Head:
    """How logits are computed from what the graphs return.

    Attributes:
        features: Indices of the parts of the last block's features that it reads first.
        taps: What it reads after them.
        weights: Names of the tensors (C, F) whose columns are joined.
        bias: Name of the tensor (C,).
    """

    features: tuple[int, ...]
    taps: tuple[Tap, ...]
    weights: tuple[str, ...]
    bias: str


@dataclass(frozen=True)
class Novelty:
    """How unlike the training images an image is.

    Attributes:
        taps: Features that it reads.
        center: Name of the tensor with their means.
        scale: Name of the tensor with their standard deviations.
        directions: Name of the tensor with the principal directions.
        threshold: Residual that has the novelty 1.
    """

    taps: tuple[Tap, ...]
    center: str
    scale: str
    directions: str
    threshold: float


@dataclass(frozen=True)
class ExportedTask:
    """A task of an exported folder.

    Attributes:
        task: Exact version, such as ``flowers@2``.
        title: Title for people.
        folder: Folder of the adapter's files.
        weights: Name of the file with its tensors, inside ``folder``.
        weights_sha256: Hash of that file.
        class_names: Names of the C classes, in the order of the logits.
        labels: How many labels an image can have.
        temperature: Divisor of the logits.
        thresholds: Probability from which an image has each class; empty if it has exactly one.
        unsure_below: Confidence below which an answer is unsure.
        unlike_above: Novelty above which an image is unlike the training images.
        image_size: Side of its images in pixels.
        mean: Mean of each channel, on a scale of 0 to 1.
        std: Standard deviation of each channel, on a scale of 0 to 1.
        graphs: Indices of the graphs that compute it, in order.
        inputs: Inputs of the last graph.
        head: How logits are computed.
        novelty: How unlike images are told, or None.
        whites: What becomes white in images of more than 8 bits, or None to scale each from its own bits.
    """

    task: str
    title: str
    folder: str
    weights: str
    weights_sha256: str
    class_names: tuple[str, ...]
    labels: Labels
    temperature: float
    thresholds: tuple[float, ...]
    unsure_below: float
    unlike_above: float
    image_size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    graphs: tuple[int, ...]
    inputs: Mapping[str, Input]
    head: Head
    novelty: Novelty | None
    whites: Whites | None = None


@dataclass(frozen=True)
class Export:
    """Content of ``export.json``.

    Attributes:
        made_by: Program and version that wrote the folder.
        precision: How the weights of the base are stored.
        base: Name, architecture, hash and license of the base.
        weights: Name of the file with the base's weights.
        weights_sha256: Hash of that file.
        parts: Parts of a block's tokens that the graphs return.
        graphs: The graphs.
        tasks: The tasks.
        check: How far the export is from the engine, measured when it was written.
    """

    made_by: str
    precision: Precision
    base: Mapping[str, str]
    weights: str
    weights_sha256: str
    parts: tuple[str, ...]
    graphs: tuple[Graph, ...]
    tasks: tuple[ExportedTask, ...]
    check: Mapping[str, Any]

    def as_json(self) -> bytes:
        """Return the document."""
        document = {"format": FORMAT, "version": VERSION, **asdict(self)}
        return (json.dumps(document, indent=1, ensure_ascii=False) + "\n").encode()


def read_export(folder: Path) -> Export:
    """Return what ``export.json`` of a folder says.

    Raises:
        ExportDamaged: If the folder is not an export, or a newer one, or the document cannot be used.
    """
    try:
        document = json.loads((folder / EXPORT_FILE).read_bytes())
    except OSError as error:
        raise ExportDamaged(
            f"{folder} is not an exported folder: it has no {EXPORT_FILE}. Choose a folder that "
            "loravit export wrote."
        ) from error
    except (ValueError, RecursionError) as error:
        raise _damaged(folder) from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise _damaged(folder)
    if document.get("version") != VERSION:
        raise ExportDamaged(
            f"{folder} has version {document.get('version')} of the format, and this program reads version "
            f"{VERSION}. Update it, or export again."
        )
    try:
        return _export(document)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise _damaged(folder) from error


def _damaged(folder: Path) -> ExportDamaged:
    return ExportDamaged(f"{folder / EXPORT_FILE} cannot be used. Export the tasks again.")


def _export(document: Mapping[str, Any]) -> Export:
    graphs = tuple(_graph(one) for one in document["graphs"])
    export = Export(
        made_by=str(document["made_by"]),
        precision=PRECISIONS[PRECISIONS.index(document["precision"])],
        base={str(key): str(value) for key, value in document["base"].items()},
        weights=_inside(document["weights"]),
        weights_sha256=str(document["weights_sha256"]),
        parts=tuple(map(str, document["parts"])),
        graphs=graphs,
        tasks=tuple(_task(one) for one in document["tasks"]),
        check=dict(document["check"]),
    )
    for task in export.tasks:
        _check_path(task, graphs)
    return export


def _check_path(task: ExportedTask, graphs: Sequence[Graph]) -> None:
    """Check that the graphs of a task follow one another.

    Raises:
        ValueError: If they do not.
    """
    path = [graphs[index] for index in task.graphs]
    ends = [0, *(graph.stop for graph in path)]
    starts = [graph.start for graph in path]
    if not path or path[0].image_size != task.image_size or starts != ends[:-1] or min(task.graphs) < 0:
        raise ValueError("the graphs of a task do not follow one another")
    if any(graph.branch for graph in path[:-1]) or set(task.inputs) - set(path[-1].inputs):
        raise ValueError("the inputs of a task do not belong to its graph")
    if len(task.thresholds) not in (0, len(task.class_names)) or len(task.mean) != 3 or len(task.std) != 3:
        raise ValueError("the numbers of a task do not belong to its classes")


def _graph(document: Mapping[str, Any]) -> Graph:
    size = document["image_size"]
    return Graph(
        file=_inside(document["file"]),
        start=int(document["start"]),
        stop=int(document["stop"]),
        branch=bool(document["branch"]),
        image_size=None if size is None else int(size),
        inputs={str(name): (shape[0], shape[1]) for name, shape in document["inputs"].items()},
    )


def _task(document: Mapping[str, Any]) -> ExportedTask:
    head, novelty = document["head"], document["novelty"]
    return ExportedTask(
        task=str(document["task"]),
        title=str(document["title"]),
        folder=_inside(document["folder"]),
        weights=_inside(document["weights"]),
        weights_sha256=str(document["weights_sha256"]),
        class_names=tuple(map(str, document["class_names"])),
        labels=LABELS[LABELS.index(document["labels"])],
        temperature=float(document["temperature"]),
        thresholds=tuple(map(float, document["thresholds"])),
        unsure_below=float(document["unsure_below"]),
        unlike_above=float(document["unlike_above"]),
        image_size=int(document["image_size"]),
        mean=tuple(map(float, document["mean"])),
        std=tuple(map(float, document["std"])),
        graphs=tuple(map(int, document["graphs"])),
        inputs={
            str(name): Input(str(one["tensor"]), float(one["scale"]))
            for name, one in document["inputs"].items()
        },
        head=Head(
            tuple(map(int, head["features"])),
            _taps(head["taps"]),
            tuple(map(str, head["weights"])),
            str(head["bias"]),
        ),
        novelty=None if novelty is None else _novelty(novelty),
        whites=Whites.from_json(document.get("whites")),
    )


def _novelty(document: Mapping[str, Any]) -> Novelty:
    return Novelty(
        taps=_taps(document["taps"]),
        center=str(document["center"]),
        scale=str(document["scale"]),
        directions=str(document["directions"]),
        threshold=float(document["threshold"]),
    )


def _taps(pairs: Sequence[Sequence[int]]) -> tuple[Tap, ...]:
    return tuple((int(block), int(part)) for block, part in pairs)


def _inside(name: Any) -> str:
    """Return the relative path of a file inside the folder.

    Raises:
        ValueError: If it leads out of the folder.
    """
    path = PurePosixPath(str(name))
    if path.is_absolute() or ".." in path.parts or "\\" in str(name) or ":" in str(name):
        raise ValueError("a path leads out of the exported folder")
    return str(path)
