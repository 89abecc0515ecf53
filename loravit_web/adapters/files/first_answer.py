"""First answer of a run: its probe and the evaluation of it, stored while the adapter is still training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from loravit_web.adapters.adapter import Adapter
from loravit_web.adapters.files.bundle import Bundle, read_bundle, write_bundle
from loravit_web.adapters.files.format import from_files, to_files
from loravit_web.backbones.base import Base
from loravit_web.errors import LoraVitError
from loravit_web.util.documents import document_bytes, read_document

ADAPTER_FILE = "first-answer.zip"
"""Name of the file with the probe, as a bundle."""
EVALUATION_FILE = "first-answer.json"
"""Name of the file with the evaluation of the probe."""
FIRST_ANSWER_FILES = (ADAPTER_FILE, EVALUATION_FILE)
SCHEMA_VERSION = 1


class FirstAnswerDamaged(LoraVitError):
    """A file of a first answer that cannot be read."""


@dataclass(frozen=True)
class FirstAnswer:
    """Evaluation of a run's probe on the validation images.

    Attributes:
        seconds: Seconds from the start of the run until the probe was ready.
        class_names: Names of the classes by index.
        n: Number of validation images.
        accuracy: Fraction of correct images, 0 to 1.
        confusion: Cells (true class, predicted class, number of images) of the confusion matrix that are not
            zero; empty for several labels per image.
        mean_average_precision: Mean average precision, 0 to 1; None for one label per image.
    """

    seconds: float
    class_names: tuple[str, ...]
    n: int
    accuracy: float
    confusion: tuple[tuple[int, int, int], ...]
    mean_average_precision: float | None = None


def write_first_answer(adapter: Adapter, base: Base, answer: FirstAnswer) -> dict[str, bytes]:
    """Return the files of a first answer by name, the evaluation last.

    Args:
        adapter: Probe as an adapter.
        base: Base that it runs on.
        answer: Evaluation of the probe.
    """
    name = ADAPTER_FILE.partition(".")[0]
    files = to_files(adapter, base, name=name, title="First answer")
    content = {
        "seconds": round(answer.seconds, 1),
        "class_names": list(answer.class_names),
        "n": answer.n,
        "accuracy": answer.accuracy,
        "confusion": answer.confusion,
        "mean_average_precision": answer.mean_average_precision,
    }
    return {
        ADAPTER_FILE: write_bundle(Bundle(name, "First answer", files)),
        EVALUATION_FILE: document_bytes(SCHEMA_VERSION, content),
    }


def read_first_adapter(data: bytes, base: Base) -> Adapter:
    """Return the probe in the bytes of `ADAPTER_FILE`; see `from_files`.

    Args:
        data: Bytes of the file.
        base: Base in float32 that the run trains on.
    """
    return from_files(read_bundle(data).files, base)


def read_first_answer(data: bytes) -> FirstAnswer:
    """Return the evaluation in the bytes of `EVALUATION_FILE`.

    Raises:
        FirstAnswerDamaged: If the data is not such a file.
    """
    try:
        return read_document(data, SCHEMA_VERSION, _first_answer)
    except ValueError as error:
        raise FirstAnswerDamaged(
            "The first answer of the run cannot be read by this version of the app. Wait for the training to "
            "finish."
        ) from error


def _first_answer(document: Mapping[str, Any]) -> FirstAnswer:
    return FirstAnswer(
        seconds=float(document["seconds"]),
        class_names=tuple(map(str, document["class_names"])),
        n=int(document["n"]),
        accuracy=float(document["accuracy"]),
        confusion=tuple((int(true), int(found), int(n)) for true, found, n in document["confusion"]),
        mean_average_precision=document.get("mean_average_precision"),
    )
