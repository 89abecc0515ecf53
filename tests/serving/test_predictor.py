"""Tasks of the catalog answer by name or by exact version, and a failing task does not affect the others."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from loravit_web.adapters import Adapter, ViTAdapterConfig
from loravit_web.adapters.adapter import compute_reference_logits
from loravit_web.adapters.files.format import WEIGHTS_FILE
from loravit_web.backbones import Base
from loravit_web.backbones.loading import BaseUnavailable
from loravit_web.catalog.publishing import Origin, publish
from loravit_web.engine import EnginePool, MultiLoRAViT
from loravit_web.images.loading import load_rgb
from loravit_web.images.whites import Whites
from loravit_web.serving.predictor import MAX_TASKS, Predictor, TooManyTasks
from loravit_web.serving.stored import stored_adapters
from registry import NewBase, Registry, Thresholds, Version
from tests.adapters.makers import random_adapter, reference_logits_of
from tests.conftest import tiny_base

Publish = Callable[..., Version]
OTHER = tiny_base(seed=1, name="vit-of-others")
CLASSES = ("cat", "dog", "hen")


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    with Registry.open(f"sqlite:///{tmp_path / 'registry.db'}", tmp_path / "artifacts") as opened:
        yield opened


@pytest.fixture
def published(registry: Registry, base: Base) -> Publish:
    """Return a function that publishes a random adapter, another one for each seed."""

    def make(slug: str, *, seed: int = 0, on: Base = base, adapter: Adapter | None = None) -> Version:
        record = registry.bases.ensure(
            NewBase(on.name, on.weights_sha256, on.architecture, on.embed_dim, on.depth)
        )
        origin = Origin(slug, slug.replace("-", " ").title(), record.id, "test")
        return publish(registry, adapter or random_adapter(on, seed=seed, classes=CLASSES), on, origin)

    return make


def refuse(name: str) -> MultiLoRAViT:
    raise BaseUnavailable(f"The weights of {name} could not be downloaded.")


def engines(registry: Registry, base: Base) -> EnginePool:
    """Return a pool with the base, and a hub with one other base."""

    def engine(on: Base) -> MultiLoRAViT:
        return MultiLoRAViT(on, torch.float32, load=stored_adapters(registry, on))

    def load(name: str) -> MultiLoRAViT:
        return engine(OTHER) if name == OTHER.name else refuse(name)

    return EnginePool(engine(base), load)


@pytest.fixture
def predictor(registry: Registry, base: Base) -> Predictor:
    return Predictor(registry, engines(registry, base))


@pytest.fixture
def read(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the list of versions whose files are read, in order."""
    refs: list[str] = []
    real = registry.catalog.read_files
    monkeypatch.setattr(registry.catalog, "read_files", lambda one: (refs.append(one.ref), real(one))[1])
    return refs


@pytest.fixture
def image() -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 56, 3), dtype=np.uint8))


def expected_scores(base: Base, image: Image.Image, adapter: Adapter) -> dict[str, float]:
    logits = reference_logits_of(base, adapter, adapter.preprocessing([image]))[0]
    scores = torch.softmax(logits / adapter.temperature, -1)
    return dict(zip(adapter.class_names, scores.tolist(), strict=True))


def break_blob(registry: Registry, version: Version, name: str = "adapter_model.safetensors") -> Path:
    (sha256,) = [file.sha256 for file in version.files if file.path == name]
    path = registry.blobs.path(sha256)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    return path


def test_a_name_stands_for_the_newest_version_and_a_number_for_that_version(
    published: Publish, predictor: Predictor, base: Base, image: Image.Image
) -> None:
    published("pets", seed=1)
    published("pets", seed=2)
    answer = predictor.classify(image, ["pets", "pets@1", "pets@2"])
    assert [result.task for result in answer.results] == ["pets@2", "pets@1", "pets@2"]
    for result, seed in zip(answer.results, (2, 1, 2), strict=True):
        assert result.error is None
        assert result.title == "Pets"
        expected = expected_scores(base, image, random_adapter(base, seed=seed, classes=CLASSES))
        assert {one.label: one.score for one in result.labels} == pytest.approx(expected, abs=1e-5)


def test_of_many_tasks_the_requested_come_first_then_the_newest_or_the_found(
    published: Publish, predictor: Predictor
) -> None:
    for seed, slug in enumerate(("ants", "bees", "cats", "dogs")):
        published(slug, seed=seed)

    def slugs(*first: str, **requested: Any) -> list[str]:
        return [info.slug for info in predictor.offered(first, **requested)]

    assert slugs() == ["ants", "bees", "cats", "dogs"]
    assert slugs(most=2) == ["dogs", "cats"]
    assert slugs("bees@1", "gone", most=2) == ["bees", "dogs"]
    assert slugs("cats", text="ANT") == ["cats", "ants"]
    assert slugs(text="nothing") == []


def test_the_newest_tasks_are_those_published_last(published: Publish, predictor: Predictor) -> None:
    for seed, slug in enumerate(("ants", "bees", "cats", "ants")):
        published(slug, seed=seed)
    assert predictor.newest(2) == ["ants", "cats"]


def test_the_newest_version_is_shortened_to_its_name(published: Publish, predictor: Predictor) -> None:
    for seed in (1, 2):
        published("pets", seed=seed)
    named = {task: predictor.named(task) for task in ("pets", "pets@1", "pets@2", "gone@1", "@")}
    assert named == {"pets": "pets", "pets@1": "pets@1", "pets@2": "pets", "gone@1": "gone@1", "@": "@"}


def test_every_adapter_is_listed_once_at_its_newest_version_by_title(
    published: Publish, predictor: Predictor
) -> None:
    assert predictor.tasks() == []
    for slug, seed in (("zebras", 1), ("birds", 2), ("zebras", 3)):
        published(slug, seed=seed)
    infos = predictor.tasks()
    assert [(info.task, info.slug, info.version, info.title) for info in infos] == [
        ("birds@1", "birds", 1, "Birds"),
        ("zebras@2", "zebras", 2, "Zebras"),
    ]
    assert {(info.status, info.reason, info.base, info.classes) for info in infos} == {
        ("ready", None, "tiny", CLASSES)
    }


def test_scores_are_the_top_k_probabilities_in_order(
    published: Publish, predictor: Predictor, image: Image.Image
) -> None:
    published("pets")
    for top_k, count in ((0, 1), (1, 1), (2, 2), (3, 3), (50, 3)):
        (result,) = predictor.classify(image, ["pets"], top_k=top_k).results
        scores = [one.score for one in result.labels]
        assert len(scores) == count
        assert scores == sorted(scores, reverse=True)
        assert 0 < sum(scores) <= 1 + 1e-6
    assert sum(scores) == pytest.approx(1)


@pytest.mark.parametrize(
    ("task", "sentence"), [("cars", "cars"), ("pets@9", "9"), ("pets@production", "production"), ("", "")]
)
def test_an_unknown_task_has_an_error_and_the_others_answer(
    task: str, sentence: str, published: Publish, predictor: Predictor, image: Image.Image
) -> None:
    published("pets")
    unknown, known = predictor.classify(image, [task, "pets"]).results
    assert (unknown.task, unknown.labels) == (task, ())
    assert unknown.error is not None
    assert sentence in unknown.error
    assert (known.task, known.error) == ("pets@1", None)


def test_a_task_of_another_base_is_loaded_on_request(
    published: Publish, predictor: Predictor, base: Base, image: Image.Image
) -> None:
    published("pets", seed=1)
    published("birds", seed=2, on=OTHER)
    assert {info.slug: info.status for info in predictor.tasks()} == {"pets": "ready", "birds": "on demand"}
    results = predictor.classify(image, ["birds", "pets"]).results
    for result, on, seed in zip(results, (OTHER, base), (2, 1), strict=True):
        expected = expected_scores(on, image, random_adapter(on, seed=seed, classes=CLASSES))
        assert {one.label: one.score for one in result.labels} == pytest.approx(expected, abs=1e-5)
    assert {info.status for info in predictor.tasks()} == {"ready"}


def test_a_task_without_its_base_has_an_error_and_the_others_answer(
    published: Publish, predictor: Predictor, image: Image.Image
) -> None:
    published("pets")
    published("birds", on=tiny_base(seed=2, name="vit-of-nobody"))
    birds, pets = predictor.classify(image, ["birds", "pets"]).results
    assert birds.error == "The weights of vit-of-nobody could not be downloaded."
    assert pets.error is None
    by_slug = {info.slug: info for info in predictor.tasks()}
    assert (by_slug["birds"].status, by_slug["birds"].reason) == ("unavailable", birds.error)
    assert by_slug["pets"].status == "ready"


def test_an_adapter_with_its_own_normalization_gets_its_own_pixels(
    published: Publish, predictor: Predictor, base: Base, image: Image.Image
) -> None:
    half = (0.5, 0.5, 0.5)
    plain = random_adapter(base, seed=1, classes=CLASSES)
    other = replace(plain, preprocessing=replace(plain.preprocessing, mean=half, std=half))
    other = replace(other, reference_logits=compute_reference_logits(base, other))
    published("plain", adapter=plain)
    published("other", adapter=other)
    for result, adapter in zip(
        predictor.classify(image, ["plain", "other"]).results, (plain, other), strict=True
    ):
        expected = expected_scores(base, image, adapter)
        assert {one.label: one.score for one in result.labels} == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("name", ["adapter_model.safetensors", "task.json"])
def test_a_damaged_file_is_named_and_the_others_answer(
    name: str, published: Publish, predictor: Predictor, registry: Registry, image: Image.Image
) -> None:
    path = break_blob(registry, published("pets", seed=1), name)
    published("birds", seed=2)
    damaged, fine = predictor.classify(image, ["pets", "birds"]).results
    assert damaged.error is not None
    assert path.name in damaged.error
    assert str(path.parent) not in damaged.error
    assert fine.error is None
    by_slug = {info.slug: info for info in predictor.tasks()}
    assert (by_slug["pets"].status, by_slug["pets"].reason) == ("unavailable", damaged.error)
    assert by_slug["birds"].status == "ready"


def test_a_repaired_file_is_used_without_a_restart(
    published: Publish, predictor: Predictor, registry: Registry, image: Image.Image
) -> None:
    version = published("pets")
    whole = registry.catalog.read_files(version)[WEIGHTS_FILE]
    path = break_blob(registry, version, WEIGHTS_FILE)
    assert predictor.classify(image, ["pets"]).results[0].error is not None
    path.write_bytes(whole)
    assert predictor.classify(image, ["pets"]).results[0].error is None
    assert predictor.tasks()[0].status == "ready"


def test_a_damaged_newest_version_does_not_affect_the_older_one(
    published: Publish, predictor: Predictor, registry: Registry, image: Image.Image
) -> None:
    published("pets", seed=1)
    break_blob(registry, published("pets", seed=2))
    newest, older = predictor.classify(image, ["pets", "pets@1"]).results
    assert newest.error is not None
    assert (older.task, older.error) == ("pets@1", None)


def test_files_damaged_after_loading_do_not_affect_answers(
    published: Publish, predictor: Predictor, registry: Registry, image: Image.Image
) -> None:
    version = published("pets")
    before = predictor.classify(image, ["pets"]).results[0].labels
    break_blob(registry, version)
    assert predictor.classify(image, ["pets"]).results[0].labels == before


def test_a_version_published_by_another_process_appears_without_a_restart(
    published: Publish, predictor: Predictor, image: Image.Image
) -> None:
    published("pets", seed=1)
    assert predictor.classify(image, ["pets"]).results[0].task == "pets@1"
    published("pets", seed=2)
    published("birds", seed=3)
    assert [info.task for info in predictor.tasks()] == ["birds@1", "pets@2"]
    assert [r.task for r in predictor.classify(image, ["pets", "birds"]).results] == ["pets@2", "birds@1"]


def test_a_withdrawn_or_archived_task_is_not_listed(
    published: Publish, predictor: Predictor, registry: Registry, image: Image.Image
) -> None:
    published("pets", seed=1)
    published("pets", seed=2)
    published("birds", seed=3)
    predictor.refresh()
    registry.catalog.withdraw("pets", 2, "mislabelled", actor="test")
    registry.catalog.archive("birds", actor="test")
    assert [info.task for info in predictor.tasks()] == ["pets@1"]
    newest, withdrawn = predictor.classify(image, ["pets", "pets@2"]).results
    assert newest.task == "pets@1"
    assert "mislabelled" in (withdrawn.error or "")


def test_the_newest_versions_are_preloaded_and_the_others_loaded_on_request(
    published: Publish, predictor: Predictor, read: list[str], image: Image.Image, monkeypatch: Any
) -> None:
    monkeypatch.setattr("loravit_web.serving.answerer.PRELOADED", 2)
    for seed, slug in enumerate(("birds", "pets", "cars", "pets")):
        published(slug, seed=seed)
    published("of-others", on=OTHER)  # does not count, because its base is not in memory
    predictor.refresh()
    assert read == ["pets@2", "cars@1"]
    ready = dict.fromkeys(("birds", "cars", "pets"), "ready")
    assert {info.slug: info.status for info in predictor.tasks()} == {**ready, "of-others": "on demand"}
    for _ in range(2):
        assert predictor.classify(image, ["birds"]).results[0].error is None
    assert read == ["pets@2", "cars@1", "birds@1"]
    published("trees", seed=4)
    predictor.refresh()
    assert read == ["pets@2", "cars@1", "birds@1", "trees@1"]


def test_versions_are_preloaded_later_until_the_app_is_closed(
    published: Publish, predictor: Predictor, read: list[str]
) -> None:
    for seed, slug in enumerate(("birds", "pets", "cars")):
        published(slug, seed=seed)
    predictor.refresh(load=False)
    assert read == []
    predictor.preload(lambda: bool(read))
    assert read == ["cars@1"]
    predictor.preload()
    assert read == ["cars@1", "pets@1", "birds@1"]


def test_an_unchanged_catalog_is_not_read_again(
    published: Publish,
    predictor: Predictor,
    registry: Registry,
    read: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    published("pets", seed=1)
    predictor.refresh()
    with monkeypatch.context() as patched:
        patched.setattr(registry.catalog, "current", lambda: pytest.fail("the catalog was read again"))
        predictor.refresh()
    published("birds", seed=2)
    predictor.refresh()
    assert read == ["pets@1", "birds@1"]


def test_too_many_tasks_at_once_are_rejected(predictor: Predictor, image: Image.Image) -> None:
    tasks = [f"task-{i}" for i in range(MAX_TASKS + 1)]
    with pytest.raises(TooManyTasks, match=f"{MAX_TASKS + 1} tasks are chosen. Choose at most {MAX_TASKS}"):
        predictor.classify(image, tasks)
    assert len(predictor.classify(image, tasks[:-1]).results) == MAX_TASKS


def test_a_duplicate_task_is_computed_once(
    published: Publish, predictor: Predictor, image: Image.Image
) -> None:
    published("pets")
    assert len(predictor.classify(image, ["pets"] * (MAX_TASKS + 5)).results) == 1


def test_tasks_of_different_types_and_sizes_answer_in_the_requested_order(
    published: Publish, predictor: Predictor, base: Base, image: Image.Image
) -> None:
    adapters = {
        "small": random_adapter(base, seed=1),
        "large": random_adapter(base, seed=2, image_size=48, classes=("a", "b")),
        "head": random_adapter(base, ViTAdapterConfig("LINEAR"), seed=3, classes=("x", "y", "z", "w")),
    }
    for slug, adapter in adapters.items():
        published(slug, adapter=adapter)
    answer = predictor.classify(image, ["head", "large", "small"])
    assert [result.task for result in answer.results] == ["head@1", "large@1", "small@1"]
    for result, slug in zip(answer.results, ("head", "large", "small"), strict=True):
        expected = expected_scores(base, image, adapters[slug])
        assert {one.label: one.score for one in result.labels} == pytest.approx(expected, abs=1e-5)


def test_the_document_of_an_answer_has_the_fields_of_the_interface(
    published: Publish, registry: Registry, base: Base, image: Image.Image
) -> None:
    published("pets")
    ticks = iter([10.0, 10.25])
    predictor = Predictor(registry, engines(registry, base), clock=lambda: next(ticks))
    document = predictor.classify(image, ["pets", "cars"], top_k=1).as_json()
    assert set(document) == {"results", "milliseconds"}
    assert document["milliseconds"] == 250.0
    pets, cars = document["results"]
    assert (
        set(pets)
        == set(cars)
        == {
            "task",
            "answer",
            "labels_per_image",
            "labels",
            "error",
            "unsure",
            "unlike",
        }
    )
    assert set(pets["labels"][0]) == {"label", "score"}
    assert (pets["error"], cars["labels"]) == (None, [])


def test_changed_thresholds_reach_the_next_answer_however_many_labels_it_has(
    published: Publish, predictor: Predictor, registry: Registry, image: Image.Image
) -> None:
    published("pets")
    for threshold, unsure in ((1.0, True), (0.0, False)):
        registry.thresholds.set("pets@1", Thresholds(unsure=threshold), actor="ann")
        for task in ("pets", "pets@1"):
            for top_k in (1, 3):
                (result,) = predictor.classify(image, [task], top_k=top_k).results
                assert (result.unsure, len(result.labels)) == (unsure, top_k)


def test_concurrent_requests_during_publications_get_correct_answers(
    published: Publish, predictor: Predictor, base: Base, image: Image.Image
) -> None:
    published("pets", seed=0)
    expected = {
        f"pets@{seed + 1}": expected_scores(base, image, random_adapter(base, seed=seed, classes=CLASSES))
        for seed in range(4)
    }

    done = threading.Event()

    def classify_repeatedly(_: int) -> int:
        requested = 0
        while not done.is_set() or not requested:
            (result,) = predictor.classify(image, ["pets"]).results
            assert result.error is None
            assert {one.label: one.score for one in result.labels} == pytest.approx(
                expected[result.task], abs=1e-5
            )
            requested += 1
        return requested

    with ThreadPoolExecutor(3) as pool:
        asking = [pool.submit(classify_repeatedly, i) for i in range(3)]
        for seed in (1, 2, 3):
            published("pets", seed=seed)
        done.set()
        assert all(one.result() for one in asking)
    (result,) = predictor.classify(image, ["pets"]).results
    assert result.task == "pets@4"


def test_an_alias_answers_as_its_current_version(
    published: Publish, predictor: Predictor, registry: Registry, image: Image.Image
) -> None:
    for seed in (1, 2, 3):
        published("pets", seed=seed)
    registry.aliases.promote("pets@1", "production", actor="test")
    requested = ["pets@production", "pets@latest"]
    assert [r.task for r in predictor.classify(image, requested).results] == ["pets@1", "pets@3"]
    registry.aliases.promote("pets@2", "production", actor="test")
    assert [r.task for r in predictor.classify(image, requested).results] == ["pets@2", "pets@3"]


def test_answers_and_errors_are_counted_by_version(
    published: Publish, registry: Registry, base: Base, image: Image.Image
) -> None:
    pets, birds = published("pets", seed=1), published("birds", seed=2)
    break_blob(registry, birds)
    counted: list[tuple[int, float | None]] = []
    predictor = Predictor(registry, engines(registry, base), count=lambda *told: counted.append(told))
    answer = predictor.classify(image, ["pets", "birds", "nobody"])
    by_version = dict(counted)
    assert by_version == {pets.id: answer.results[0].milliseconds, birds.id: None}
    assert len(counted) == 2


class Computed(MultiLoRAViT):
    """Engine that records what it computes, and calls ``meanwhile`` during it."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.keys_computed: list[str] = []
        self.meanwhile: Callable[[], object] = lambda: None

    def forward(self, images: Any, assignment: Any, **named: Any) -> list[dict[str, torch.Tensor]]:
        self.keys_computed += [key for keys in assignment for key in keys]
        self.meanwhile()
        return super().forward(images, assignment, **named)


def test_a_prefetched_answer_is_returned_from_the_cache_and_counted_on_request(
    published: Publish, registry: Registry, base: Base, image: Image.Image
) -> None:
    published("pets")
    engine = Computed(base, torch.float32, load=stored_adapters(registry, base))
    counted: list[Any] = []
    predictor = Predictor(registry, EnginePool(engine, _no_base), count=lambda *told: counted.append(told))
    predictor.refresh()
    assert predictor.prepare(image, "pets")
    assert (engine.keys_computed, counted) == (["pets@1"], [])
    (result,) = predictor.classify(image, ["pets"]).results
    expected = expected_scores(base, image, random_adapter(base, seed=0, classes=CLASSES))
    assert {one.label: one.score for one in result.labels} == pytest.approx(expected, abs=1e-5)
    assert (engine.keys_computed, len(counted)) == (["pets@1"], 1)


def test_prefetching_loads_nothing(
    published: Publish, registry: Registry, base: Base, image: Image.Image, read: list[str]
) -> None:
    published("pets")
    published("birds", on=OTHER)
    predictor = Predictor(registry, EnginePool(engines(registry, base).configured, _no_base))
    predictor.refresh(load=False)
    assert all(predictor.prepare(image, task) for task in ("pets", "birds", "nobody", "pets@1"))
    assert read == []


def test_nothing_is_prefetched_while_a_request_waits(
    published: Publish, registry: Registry, base: Base, image: Image.Image
) -> None:
    published("pets")
    published("birds", seed=1)
    engine = Computed(base, torch.float32, load=stored_adapters(registry, base))
    predictor = Predictor(registry, EnginePool(engine, _no_base))
    prepared: list[bool] = []
    engine.meanwhile = lambda: prepared.append(predictor.prepare(image, "birds"))
    predictor.classify(image, ["pets"])
    assert prepared == [False]
    assert engine.keys_computed == ["pets@1"]


def _no_base(name: str) -> MultiLoRAViT:
    raise BaseUnavailable(f"{name} is not to be loaded.")


def test_after_a_restore_a_name_stands_for_its_restored_version(
    registry: Registry, base: Base, published: Publish, image: Image.Image, tmp_path: Path
) -> None:
    with Registry.open(f"sqlite:///{tmp_path / 'other.db'}", tmp_path / "other") as other:
        record = other.bases.ensure(
            NewBase(base.name, base.weights_sha256, base.architecture, base.embed_dim, base.depth)
        )
        adapter = random_adapter(base, seed=2, classes=("red", "blue", "green"))
        publish(other, adapter, base, Origin("pets", "Pets", record.id, "test"))
        other.backup(tmp_path / "backup.zip")
    published("pets", seed=1)
    predictor = Predictor(registry, engines(registry, base))
    before = predictor.classify(image, ["pets@1"]).results[0]
    registry.restore(tmp_path / "backup.zip", replace=True, keep_in=tmp_path / "kept", actor="test")

    after = predictor.classify(image, ["pets@1"]).results[0]
    assert {label.label for label in before.labels} == set(CLASSES)
    assert {label.label for label in after.labels} == {"red", "blue", "green"}
    fresh = Predictor(registry, engines(registry, base)).classify(image, ["pets@1"]).results[0]
    assert after.labels == fresh.labels


def test_tasks_answer_together_if_only_one_fits_in_memory(
    registry: Registry, base: Base, published: Publish, image: Image.Image
) -> None:
    for seed, slug in enumerate(("pets", "birds")):
        published(slug, seed=seed)
    narrow = MultiLoRAViT(base, torch.float32, load=stored_adapters(registry, base), adapters_budget=1)
    answer = Predictor(registry, EnginePool(narrow, refuse)).classify(image, ["pets", "birds"])
    assert [one.error for one in answer.results] == [None, None]
    assert all(one.labels for one in answer.results)


def test_a_task_that_fails_during_the_computation_does_not_affect_others(
    registry: Registry, base: Base, published: Publish, image: Image.Image
) -> None:
    for seed, slug in enumerate(("pets", "birds")):
        published(slug, seed=seed)
    load, loaded = stored_adapters(registry, base), []

    def loses_pets(ref: str) -> Adapter:
        if ref == "pets@1" and "birds@1" in loaded:
            raise BaseUnavailable("The files are gone.")
        loaded.append(ref)
        return load(ref)

    narrow = MultiLoRAViT(base, torch.float32, load=loses_pets, adapters_budget=1)
    answer = Predictor(registry, EnginePool(narrow, refuse)).classify(image, ["pets", "birds"])
    assert [(one.task, one.error) for one in answer.results] == [
        ("pets", "The files are gone."),
        ("birds@1", None),
    ]


def test_tasks_with_different_whites_do_not_share_what_is_computed_for_an_image(
    published: Publish, predictor: Predictor, base: Base, tmp_path: Path
) -> None:
    values = np.random.default_rng(0).integers(0, 900, (40, 56), dtype=np.uint16)
    Image.fromarray(values).save(tmp_path / "deep.png")
    image = load_rgb(tmp_path / "deep.png")
    plain = random_adapter(base, classes=CLASSES)
    adapters = {"own": plain}
    for slug, white in {"camera": 4095.0, "scanner": 65535.0}.items():
        preprocessing = replace(plain.preprocessing, whites=Whites(integer=white))
        adapters[slug] = replace(plain, preprocessing=preprocessing)
    for slug, adapter in adapters.items():
        published(slug, adapter=adapter)
    for _ in range(2):  # computed, then from the caches
        answer = predictor.classify(image, list(adapters))
        for result, adapter in zip(answer.results, adapters.values(), strict=True):
            found = {one.label: one.score for one in result.labels}
            assert found == pytest.approx(expected_scores(base, image, adapter), abs=1e-5)
    assert len({result.labels[0].score for result in answer.results}) == 3
