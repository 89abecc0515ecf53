"""Suspects: images whose label looks wrong to heads that were fitted without them.

They are ranked by self-confidence, as in confident learning (Northcutt, Jiang and Chuang 2021, "Confident
Learning: Estimating Uncertainty in Dataset Labels", arXiv 1911.00068). It found more flipped labels than the
margin to the most probable other class: of 5 % of 600 images of CIFAR-10, 80 % instead of 66 % were among the
first tenth of the images; see ``python -m benchmarks suspects``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from loravit_web.errors import LoraVitError
from loravit_web.util.documents import document_bytes, read_document

if TYPE_CHECKING:  # commands that list suspects start without torch
    import torch

    from loravit_web.training.data import Split

SUSPECTS = "suspects.json"
"""Name of the file of a run."""
SCHEMA_VERSION = 1
CLEARLY = 5.0
"""How many times as probable as its label another class of a suspect is."""


class SuspectsDamaged(LoraVitError):
    """A file of suspects that cannot be read."""


@dataclass(frozen=True, slots=True)
class Suspect:
    """An image whose label looks wrong.

    Attributes:
        sha256: Hash of the image file.
        label: Index of its class in the dataset.
        suggested: Index of the most probable class, which is another one.
        probability: Calibrated probability of ``suggested``, 0 to 1.
    """

    sha256: str
    label: int
    suggested: int
    probability: float


@dataclass(frozen=True, slots=True)
class Suspects:
    """Suspects of one run.

    Attributes:
        examined: Number of training and validation images that were examined.
        found: Suspects, the most suspicious first.
    """

    examined: int
    found: tuple[Suspect, ...]


def self_confidence(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return the probability (N,) of each image's own label; the lowest is the most suspicious.

    Args:
        logits: Calibrated logits (N, C) of heads that were fitted without the image.
        labels: Class indices (N,).
    """
    return logits.softmax(dim=1).gather(1, labels[:, None])[:, 0]


def suspects_of(images: Split, logits: torch.Tensor) -> Suspects:
    """Return the images whose label looks wrong.

    An image is listed if the most probable class is another one and `CLEARLY` times as probable as its label.

    Args:
        images: The N images, whose stored files are named by their hash.
        logits: Calibrated logits (N, C) of heads that were fitted without the image.
    """
    labels = images.labels
    own = self_confidence(logits, labels)
    scores, suggested = logits.softmax(dim=1).max(dim=1)
    listed = (suggested != labels) & (scores >= CLEARLY * own)
    order = [index for index in own.argsort(stable=True).tolist() if listed[index]]
    found: dict[tuple[str, int], Suspect] = {}
    for index in order:  # the same file may be in two splits
        suspect = Suspect(
            images.paths[index].stem,
            int(labels[index]),
            int(suggested[index]),
            round(float(scores[index]), 4),
        )
        found.setdefault((suspect.sha256, suspect.label), suspect)
    return Suspects(len(images), tuple(found.values()))


def write_suspects(suspects: Suspects) -> bytes:
    """Return suspects as a JSON file with one list per column."""
    content = {
        "examined": suspects.examined,
        "images": [suspect.sha256 for suspect in suspects.found],
        "labels": [suspect.label for suspect in suspects.found],
        "suggested": [suspect.suggested for suspect in suspects.found],
        "probabilities": [suspect.probability for suspect in suspects.found],
    }
    return document_bytes(SCHEMA_VERSION, content)


def read_suspects(data: bytes) -> Suspects:
    """Return the suspects that `write_suspects` wrote.

    Raises:
        SuspectsDamaged: If the data is not such a file.
    """
    try:
        return read_document(data, SCHEMA_VERSION, _suspects)
    except ValueError as error:
        raise SuspectsDamaged(
            "The suspicious labels of the run cannot be read by this version of the app. Train again to see "
            "them."
        ) from error


def _suspects(document: Mapping[str, Any]) -> Suspects:
    rows = zip(*(document[name] for name in ("images", "labels", "suggested", "probabilities")), strict=True)
    found = tuple(
        Suspect(str(sha), int(label), int(suggested), float(probability))
        for sha, label, suggested, probability in rows
    )
    return Suspects(int(document["examined"]), found)
