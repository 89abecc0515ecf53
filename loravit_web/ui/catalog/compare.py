"""Comparison of two versions of an adapter, in place on the card."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from markupsafe import Markup

from loravit_web.catalog.reliability import SPLITS
from loravit_web.datasets import DatasetError
from loravit_web.images.loading import ImageError
from loravit_web.runs.compared_versions import ComparedVersions, Disagreement, compare_versions
from loravit_web.ui.kit.markup import with_interval
from loravit_web.ui.kit.served import file_link
from loravit_web.ui.kit.thumbnails import thumbnail
from loravit_web.ui.language.texts import _, gettext_noop, numeral
from loravit_web.ui.language.words import split_name
from loravit_web.ui.templates import render
from loravit_web.visibility import Seen
from registry import Evaluation, Version

MOST_IMAGES = 24
"""Maximum number of images that are shown."""
_IMAGES = {"test": gettext_noop("Test images"), "validation": gettext_noop("Validation images")}


@dataclass(frozen=True)
class ComparedResult:
    """A row of results.

    Attributes:
        name: Name of the result.
        cells: Text for each version.
        change: How the second version differs, or an empty text.
    """

    name: str
    cells: tuple[str, str]
    change: str = ""


def compared_html(seen: Seen, refs: tuple[str, str]) -> Markup:
    """Return the comparison of two versions.

    Args:
        seen: What the visitor sees of the app.
        refs: Exact references of the versions.

    Raises:
        LoraVitError: If predictions are damaged.
        RegistryError: If there is no such version, or a file cannot be read.
    """
    found = compare_versions(seen.registry, refs)
    images = found.disagreements[:MOST_IMAGES]
    return render(
        "catalog/compared",
        names=[f"v{one.version}" for one in found.versions],
        results=_results(found),
        sentences=found.sentences,
        on_same_images=found.on_same_images,
        split=found.split,
        classes=[
            ComparedResult(row.name, (_percent(row.recalls[0]), _percent(row.recalls[1])), points(row.change))
            for row in found.classes
        ],
        settings=found.settings,
        images=images,
        links=_links(seen, found.versions, images),
        n_more=len(found.disagreements) - len(images),
    )


def points(change: float | None) -> str:
    """Return a difference of two fractions as text, such as ``−28.6``; empty if there is none."""
    rounded = 0.0 if change is None else round(100 * change, 1)
    return numeral(rounded, "+.1f").replace("-", "−") if rounded else ""


def _results(found: ComparedVersions) -> list[ComparedResult]:
    rows = []
    for split in SPLITS:
        first, second = (one.evaluation(split) for one in found.versions)
        if first is None and second is None:
            continue
        change = second.accuracy - first.accuracy if first is not None and second is not None else None
        accuracies = (_accuracy(first), _accuracy(second))
        rows.append(
            ComparedResult(
                _("Accuracy ({split}, 95% CI)", split=split_name(split)), accuracies, points(change)
            )
        )
        rows.append(ComparedResult(_(_IMAGES[split]), (_count(first), _count(second))))
    return rows


def _accuracy(judged: Evaluation | None) -> str:
    return "–" if judged is None else with_interval(judged)


def _count(judged: Evaluation | None) -> str:
    return "–" if judged is None else numeral(judged.n)


def _links(
    seen: Seen, versions: tuple[Version, Version], images: tuple[Disagreement, ...]
) -> Mapping[str, str]:
    """Return the links to thumbnails by the hash of the image, of images that are stored and visible."""
    links: dict[str, str] = {}
    wanted = {one.sha256 for one in images}
    for version in versions:
        missing = wanted - links.keys()
        if not missing or version.dataset_fingerprint is None:
            continue
        try:
            dataset = seen.datasets.load(version.dataset_fingerprint)
        except DatasetError:  # deleted, or hidden from the visitor
            continue
        for item in dataset.items:
            if item.sha256 in missing and item.sha256 not in links:
                try:
                    links[item.sha256] = file_link(thumbnail(dataset, item))
                except ImageError:
                    continue
    return links


def _percent(fraction: float | None) -> str:
    return "–" if fraction is None else numeral(fraction, ".1%")
