"""Results per class: stored, refused if they are impossible, and not read by lists."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Engine, event

from registry import (
    ClassMetric,
    ConfusedPair,
    ConfusionCell,
    InvalidValue,
    NewEvaluation,
    NewVersion,
    Registry,
)

MakeVersion = Callable[..., NewVersion]
CLASSES = ("cat", "dog", "hen")
# of 10 images: 4 cats (3 correct, 1 dog), 5 dogs (2 correct, 2 cats, 1 hen), 1 hen (predicted as cat)
WHOLE = NewEvaluation(
    split="test",
    n=10,
    accuracy=0.5,
    loss=0.7,
    macro_f1=0.4,
    linear_probe_accuracy=0.4,
    top5_accuracy=1.0,
    calibration_error=0.03,
    classes=(
        ClassMetric(0.5, 0.75, 0.6, 4),
        ClassMetric(2 / 3, 0.4, 0.5, 5),
        ClassMetric(0.0, 0.0, 0.0, 1),
    ),
    confusion=(
        ConfusionCell(0, 0, 3),
        ConfusionCell(0, 1, 1),
        ConfusionCell(1, 0, 2),
        ConfusionCell(1, 1, 2),
        ConfusionCell(1, 2, 1),
        ConfusionCell(2, 0, 1),
    ),
)


def publish(registry: Registry, new_version: MakeVersion, *evaluations: NewEvaluation) -> Any:
    return registry.catalog.publish(new_version(class_names=CLASSES, evaluations=evaluations), actor="ann")


def test_all_results_are_read_as_they_were_given(registry: Registry, new_version: MakeVersion) -> None:
    version = publish(registry, new_version, WHOLE)
    found = version.evaluation("test")
    assert (found.top5_accuracy, found.calibration_error) == (1.0, 0.03)
    details = registry.evaluations.details(version, "test")
    assert details is not None
    assert (details.class_names, details.classes, details.confusion) == (
        CLASSES,
        WHOLE.classes,
        WHOLE.confusion,
    )


def test_an_evaluation_may_have_no_results_per_class(registry: Registry, new_version: MakeVersion) -> None:
    plain = NewEvaluation("validation", 10, 0.5, 0.7, 0.4)
    version = publish(registry, new_version, plain)
    found = version.evaluation("validation")
    assert (found.top5_accuracy, found.calibration_error) == (None, None)
    details = registry.evaluations.details(version, "validation")
    assert details is not None
    assert (details.classes, details.confusion) == ((), ())
    assert registry.evaluations.most_confused(version, "validation") == []
    assert registry.evaluations.details(version, "test") is None


SEVERAL = NewEvaluation(
    split="test",
    n=4,
    accuracy=0.5,
    loss=0.3,
    macro_f1=0.4,
    classes=(
        ClassMetric(0.5, 0.75, 0.6, 4, 0.8),
        ClassMetric(1.0, 1.0, 1.0, 3, 1.0),
        ClassMetric(0.0, 0.0, 0.0, 0),
    ),
    mean_average_precision=0.9,
    micro_f1=0.7,
)


def test_images_with_several_labels_count_in_each_of_their_classes(
    registry: Registry, new_version: MakeVersion
) -> None:
    version = publish(registry, new_version, SEVERAL)
    found = version.evaluation("test")
    assert (found.mean_average_precision, found.micro_f1, found.several_labels) == (0.9, 0.7, True)
    details = registry.evaluations.details(version, "test")
    assert details is not None
    assert details.classes == SEVERAL.classes


@pytest.mark.parametrize(
    "wrong",
    [
        replace(SEVERAL, n=3),
        replace(SEVERAL, micro_f1=1.5),
        replace(SEVERAL, classes=(*SEVERAL.classes[:2], ClassMetric(0.0, 0.0, 0.0, 0, -0.1))),
    ],
)
def test_impossible_results_of_several_labels_are_refused(
    wrong: NewEvaluation, registry: Registry, new_version: MakeVersion
) -> None:
    with pytest.raises(InvalidValue):
        publish(registry, new_version, wrong)


def test_the_most_confused_classes_are_listed_first_with_their_fraction(
    registry: Registry, new_version: MakeVersion
) -> None:
    version = publish(registry, new_version, WHOLE)
    assert registry.evaluations.most_confused(version, "test") == [
        ConfusedPair("dog", "cat", 2, 0.4),
        ConfusedPair("cat", "dog", 1, 0.25),
        ConfusedPair("dog", "hen", 1, 0.2),
        ConfusedPair("hen", "cat", 1, 1.0),
    ]
    assert len(registry.evaluations.most_confused(version, "test", limit=1)) == 1
    assert registry.evaluations.most_confused(version, "validation") == []


def test_two_splits_are_stored_separately(registry: Registry, new_version: MakeVersion) -> None:
    other = replace(
        WHOLE,
        split="validation",
        n=1,
        classes=(ClassMetric(1.0, 1.0, 1.0, 1), ClassMetric(0.0, 0.0, 0.0, 0), ClassMetric(0.0, 0.0, 0.0, 0)),
        confusion=(ConfusionCell(0, 0, 1),),
    )
    version = publish(registry, new_version, WHOLE, other)
    details = registry.evaluations.details(version, "validation")
    assert details is not None
    assert details.confusion == (ConfusionCell(0, 0, 1),)
    assert registry.evaluations.most_confused(version, "validation") == []


def test_lists_do_not_read_the_results_per_class(registry: Registry, new_version: MakeVersion) -> None:
    publish(registry, new_version, WHOLE)
    seen: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        seen.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        registry.catalog.adapters()
        registry.catalog.current()
        registry.catalog.versions("pets")
        registry.catalog.resolve("pets")
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    assert seen
    assert not [one for one in seen if "class_metrics" in one or "confusion_cells" in one]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"classes": WHOLE.classes[:2]}, "2 classes instead of 3"),
        ({"classes": (ClassMetric(1.5, 0.75, 0.6, 4), *WHOLE.classes[1:])}, "precision"),
        ({"classes": (ClassMetric(float("nan"), 0.75, 0.6, 4), *WHOLE.classes[1:])}, "precision"),
        ({"classes": (ClassMetric(0.5, 0.75, 0.6, -4), *WHOLE.classes[1:])}, "support"),
        ({"classes": (ClassMetric(0.5, 0.75, 0.6, 3), *WHOLE.classes[1:])}, "add up to its 10 images"),
        ({"classes": ()}, "no results per class"),
        ({"confusion": WHOLE.confusion[:-1]}, "support of its classes"),
        ({"confusion": (*WHOLE.confusion, WHOLE.confusion[0])}, "listed twice"),
        ({"confusion": (*WHOLE.confusion[:-1], ConfusionCell(2, 3, 1))}, "one of its 3 classes"),
        ({"confusion": (*WHOLE.confusion[:-1], ConfusionCell(-1, 0, 1))}, "one of its 3 classes"),
        ({"confusion": (*WHOLE.confusion, ConfusionCell(2, 2, 0))}, "positive count"),
        ({"top5_accuracy": 1.1}, "top5_accuracy"),
        ({"calibration_error": float("nan")}, "calibration_error"),
    ],
)
def test_impossible_results_are_refused_and_nothing_is_published(
    registry: Registry, new_version: MakeVersion, changes: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(InvalidValue, match=sentence):
        publish(registry, new_version, replace(WHOLE, **changes))
    assert registry.catalog.adapters() == []
