"""Two versions side by side: what differs, and whether it was measured on the same images."""

from __future__ import annotations

from dataclasses import replace

from loravit_web.runs.compared_versions import ComparedVersions, Disagreement, compare_versions
from loravit_web.service import Service
from loravit_web.training.files.predictions import PREDICTIONS, Predicted, write_predictions
from registry import ClassMetric, ConfusionCell, NewEvaluation, NewRun, NewVersion, Run
from tests.ui.catalog.catalog_page import publish


def a_version(service: Service, run: Run, predicted: list[int], images: str = "abcd") -> str:
    """Publish a version of ``pets`` with these answers for four test images: two cats, then two dogs."""
    registry = service.registry
    new = NewRun("pets", "Pets", run.base_id, run.dataset_id, 0, {}, {})
    made = registry.runs.create(new, actor="ann", worker="w")
    true = [0, 0, 1, 1]
    answers = tuple(
        Predicted(name * 64, right, answer, 0.9)
        for name, right, answer in zip(images, true, predicted, strict=True)
    )
    registry.run_files.put(made.id, PREDICTIONS, write_predictions({"test": answers}))
    recalls = [sum(predicted[i] == label for i in at) / 2 for label, at in ((0, (0, 1)), (1, (2, 3)))]
    cells = {(right, answer) for right, answer in zip(true, predicted, strict=True)}
    counted = [
        ConfusionCell(*cell, sum(pair == cell for pair in zip(true, predicted, strict=True)))
        for cell in sorted(cells)
    ]
    result = NewEvaluation(
        "test",
        4,
        sum(recalls) / 2,
        0.1,
        0.5,
        classes=tuple(ClassMetric(1.0, recall, 0.5, 2) for recall in recalls),
        confusion=tuple(counted),
    )
    version = registry.catalog.publish(
        NewVersion(
            slug="pets",
            title="Pets",
            description="",
            run_id=made.id,
            base_id=run.base_id,
            dataset_id=run.dataset_id,
            adapter_type="LORA",
            n_params=10,
            image_size=32,
            class_names=("cat", "dog"),
            config={"r": len(registry.runs.list(slug="pets"))},
            files={"adapter_model.safetensors": made.id.encode()},
            evaluations=(result,),
        ),
        actor="ann",
    )
    registry.runs.finish(made.lease, "completed")
    return version.ref


def test_images_with_different_answers_are_listed_those_that_one_gets_right_first(
    service: Service, colours: Run
) -> None:
    first, second = a_version(service, colours, [0, 0, 1, 1]), a_version(service, colours, [0, 1, 0, 1])
    found = compare_versions(service.registry, (second, first))
    assert [version.ref for version in found.versions] == [first, second]
    assert [(one.sha256[0], one.label, one.answers, one.right) for one in found.disagreements] == [
        ("b", "cat", ("cat", "dog"), (True, False)),
        ("c", "dog", ("dog", "cat"), (True, False)),
    ]
    assert [(row.name, row.recalls) for row in found.classes] == [("cat", (1.0, 0.5)), ("dog", (1.0, 0.5))]
    assert [row.name for row in found.settings] == ["adapter.r"]
    assert found.on_same_images
    assert found.sentences == (
        "Both were evaluated on the same 4 test images.",
        "They disagree on 2 images: only version 1 is right on 2, only version 2 on 0, neither on 0.",
        "The difference may be chance.",
    )


def test_images_that_only_one_version_gets_right_are_listed_in_turn(service: Service, colours: Run) -> None:
    first, second = a_version(service, colours, [0, 0, 0, 0]), a_version(service, colours, [1, 1, 1, 1])
    found = compare_versions(service.registry, (first, second))
    assert [one.right for one in found.disagreements] == [(True, False), (False, True)] * 2


def test_versions_with_other_images_are_compared_on_those_they_share(service: Service, colours: Run) -> None:
    first = a_version(service, colours, [0, 0, 1, 1])
    second = a_version(service, colours, [1, 1, 0, 0], images="cdef")
    found = compare_versions(service.registry, (first, second))
    assert not found.on_same_images
    assert found.sentences[0] == (
        "They were evaluated on different test images: 4 and 4, of which 2 are the same. "
        "Compare the accuracies with care."
    )
    third = a_version(service, colours, [1, 1, 0, 0], images="wxyz")
    assert compare_versions(service.registry, (first, third)).sentences == (
        "They were evaluated on different test images. Compare with care.",
    )


def test_an_imported_version_has_no_answers_to_compare(service: Service, colours: Run) -> None:
    first = a_version(service, colours, [0, 0, 1, 1])
    imported = publish(service, "pets", class_names=("cat", "dog")).ref
    found = compare_versions(service.registry, (first, imported))
    assert (found.shared, found.disagreements) == (None, ())
    assert "It is not known whether both were evaluated on the same test images" in found.sentences[0]
    unjudged = publish(service, "pets", "again", class_names=("cat", "dog"), evaluations=()).ref
    found = compare_versions(service.registry, (first, unjudged))
    assert found.sentences == ("Version 1 and version 3 were not evaluated on the same split.",)


def test_a_difference_on_many_images_is_significant(service: Service, colours: Run) -> None:
    ref = a_version(service, colours, [0, 0, 1, 1])
    version = service.registry.catalog.version(ref)
    better = tuple(Disagreement(f"{n:064}", "cat", ("dog", "cat"), (0.6, 0.9)) for n in range(12))
    found = ComparedVersions((version, replace(version, version=2)), "test", (), (), (40, 40), 40, better)
    assert found.sentences[-1] == "The difference is significant."
    same = replace(found, disagreements=())
    assert same.sentences[-1] == "They give the same answer for each of them."
