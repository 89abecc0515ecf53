"""Two versions side by side: results, classes, settings, and the images on which they disagree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from loravit_web.catalog.reliability import SPLITS
from loravit_web.runs.comparison import ComparedRow, setting_rows
from loravit_web.training.files.predictions import PREDICTIONS, Predicted, read_predictions
from loravit_web.util.intervals import sign_test
from loravit_web.util.text import plural
from registry import EvaluationDetails, Registry, Split, UnknownRunFile, Version

SIGNIFICANT = 0.05
"""p-value below which a difference is called significant."""
Answers = Mapping[str, Predicted]
"""Predictions by the hash of the image."""


@dataclass(frozen=True, slots=True)
class ComparedClass:
    """Results of both versions for a class.

    Attributes:
        name: Name of the class.
        recalls: Recall of each version, 0 to 1, or None if a version does not know the class.
    """

    name: str
    recalls: tuple[float | None, float | None]

    @property
    def change(self) -> float:
        """How much better the second version is, -1 to 1; 0 if a version does not know the class."""
        first, second = self.recalls
        return 0.0 if first is None or second is None else second - first


@dataclass(frozen=True, slots=True)
class Disagreement:
    """An image for which the versions give different answers.

    Attributes:
        sha256: Hash of the image.
        label: Its class in the dataset.
        answers: Answer of each version.
        scores: Score of each answer, 0 to 1.
    """

    sha256: str
    label: str
    answers: tuple[str, str]
    scores: tuple[float, float]

    @property
    def right(self) -> tuple[bool, bool]:
        """Whether each answer is right."""
        return self.answers[0] == self.label, self.answers[1] == self.label


@dataclass(frozen=True, slots=True)
class ComparedVersions:
    """Two versions side by side, the older one first.

    Attributes:
        versions: The versions.
        split: Split on which both were evaluated, or None.
        classes: Results per class on the split, the largest differences first.
        settings: Settings that differ.
        n_images: Number of images of the split, per version.
        shared: Number of images on which both were evaluated, or None if it is not known.
        disagreements: Images among the shared ones with different answers: first those that one version
            gets right, the versions in turn.
    """

    versions: tuple[Version, Version]
    split: Split | None
    classes: tuple[ComparedClass, ...]
    settings: tuple[ComparedRow, ...]
    n_images: tuple[int, int]
    shared: int | None
    disagreements: tuple[Disagreement, ...]

    @property
    def on_same_images(self) -> bool:
        """Whether both were evaluated on the same images, so that their accuracies can be compared."""
        return self.shared is not None and self.n_images == (self.shared, self.shared)

    @property
    def sentences(self) -> tuple[str, ...]:
        """What the images say, in sentences for people."""
        first, second = (f"version {one.version}" for one in self.versions)
        if self.split is None:
            return (f"{first.capitalize()} and {second} were not evaluated on the same split.",)
        if self.shared is None:
            return (
                f"It is not known whether both were evaluated on the same {self.split} images, because a "
                "version has no predictions per image.",
            )
        if not self.shared:
            return (f"They were evaluated on different {self.split} images. Compare with care.",)
        return (self._images(), *self._differences(first, second))

    def _images(self) -> str:
        if self.on_same_images:
            return f"Both were evaluated on the same {plural(self.shared or 0, f'{self.split} image')}."
        first, second = self.n_images
        return (
            f"They were evaluated on different {self.split} images: {first:,} and {second:,}, of which "
            f"{self.shared:,} are the same. Compare the accuracies with care."
        )

    def _differences(self, first: str, second: str) -> tuple[str, ...]:
        right = [one.right for one in self.disagreements]
        if not right:
            return ("They give the same answer for each of them.",)
        only_first, only_second = right.count((True, False)), right.count((False, True))
        decided = sign_test(only_first, only_second) < SIGNIFICANT
        return (
            f"They disagree on {plural(len(right), 'image')}: only {first} is right on {only_first}, only "
            f"{second} on {only_second}, neither on {right.count((False, False))}.",
            "The difference is significant." if decided else "The difference may be chance.",
        )


def compare_versions(registry: Registry, refs: tuple[str, str]) -> ComparedVersions:
    """Compare two versions, also withdrawn ones.

    Args:
        registry: Registry as the visitor sees it.
        refs: Exact references, such as ``slug@1`` and ``slug@2``.

    Raises:
        LoraVitError: If the predictions of a run are damaged.
        RegistryError: If there is no such version, or a file cannot be read.
    """
    first, second = sorted(map(registry.catalog.version, refs), key=lambda one: (one.slug, one.version))
    split = next((name for name in SPLITS if first.evaluation(name) and second.evaluation(name)), None)
    differing = setting_rows(registry.comparer.compare([first.ref, second.ref]))
    if split is None:
        return ComparedVersions((first, second), None, (), tuple(differing), (0, 0), None, ())
    details = [registry.evaluations.details(one, split) for one in (first, second)]
    judged = [one.evaluation(split) for one in (first, second)]
    answers = [_answers(registry, one, split) for one in (first, second)]
    images = answers[0].keys() & answers[1].keys() if answers[0] and answers[1] else None
    return ComparedVersions(
        versions=(first, second),
        split=split,
        classes=_classes(details),
        settings=tuple(differing),
        n_images=(judged[0].n if judged[0] else 0, judged[1].n if judged[1] else 0),
        shared=len(images) if images is not None else None,
        disagreements=_disagreements((first, second), answers, sorted(images or ())),
    )


def _answers(registry: Registry, version: Version, split: Split) -> Answers:
    """Return the predictions of a version for the images of a split, or an empty mapping.

    Imported versions have none, nor have those of earlier apps and those with several labels per image.
    """
    judged = version.evaluation(split)
    if version.run_id is None or judged is None or judged.several_labels:
        return {}
    try:
        found = read_predictions(registry.run_files.read(version.run_id, PREDICTIONS))
    except UnknownRunFile:
        return {}
    return {one.sha256: one for one in found.get(split, ())}


def _classes(details: Sequence[EvaluationDetails | None]) -> tuple[ComparedClass, ...]:
    recalls = [
        {name: one.recall for name, one in zip(found.class_names, found.classes, strict=True)}
        if found is not None and found.classes
        else {}
        for found in details
    ]
    names = dict.fromkeys([*recalls[0], *recalls[1]])
    rows = [ComparedClass(name, (recalls[0].get(name), recalls[1].get(name))) for name in names]
    return tuple(sorted(rows, key=lambda row: -abs(row.change)))


def _disagreements(
    versions: tuple[Version, Version], answers: Sequence[Answers], images: Sequence[str]
) -> tuple[Disagreement, ...]:
    found = []
    for sha256 in images:
        one, other = (given[sha256] for given in answers)
        names, others = (version.class_names for version in versions)
        if names[one.predicted] != others[other.predicted]:
            found.append(
                Disagreement(
                    sha256,
                    names[one.true],
                    (names[one.predicted], others[other.predicted]),
                    (one.score, other.score),
                )
            )
    places: Counter[tuple[bool, bool]] = Counter()
    in_turn = []
    for image in found:
        places[image.right] += 1
        in_turn.append((not any(image.right), places[image.right], image.right[1], image))
    return tuple(image for *_, image in sorted(in_turn, key=lambda entry: entry[:3]))
