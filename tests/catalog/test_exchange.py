"""Versions as bundles: out of one catalog, into another, and those that come with the app."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from loravit_web.access.rights import LOCAL, member
from loravit_web.actions import Actions
from loravit_web.adapters.files.bundle import Bundle, read_bundle, write_bundle
from loravit_web.adapters.files.format import AdapterFormatError
from loravit_web.catalog.exchange import add_bundled, exported, thumbnail_of
from loravit_web.engine.pool import BaseRefused
from loravit_web.images.loading import load_rgb
from loravit_web.service import Service
from loravit_web.settings.environment import Settings
from registry import AS_TRAINED, InvalidSlug, Run, Split, Thresholds
from tests.conftest import ColourFolders, tiny_base, tiny_service

SPLITS: tuple[Split, ...] = ("validation", "test")


def saved(data: bytes, folder: Path) -> Path:
    path = folder / "bundle.zip"
    path.write_bytes(data)
    return path


def test_a_bundle_gives_the_same_answers_elsewhere(
    service: Service, colours: Run, colour_folders: ColourFolders, tmp_path: Path
) -> None:
    name, data = exported(service.registry, "colours")
    assert name == "colours-v1.zip"
    elsewhere = tiny_service(Settings(home=tmp_path / "elsewhere", base="tiny"))
    try:
        version = Actions(elsewhere, LOCAL).import_bundle(saved(data, tmp_path))
        assert version.ref == "colours@1"
        assert version.title == "Colours"
        image = load_rgb(next((colour_folders(test=1) / "test" / "red").iterdir()))
        here, there = (s.predictor.classify(image, ["colours"]).results[0] for s in (service, elsewhere))
        # each app measures its own precision, so bfloat16 may answer beside float32
        assert [one.label for one in here.labels] == [one.label for one in there.labels]
        assert here.labels[0].score == pytest.approx(there.labels[0].score, abs=0.02)
        assert version.evaluation("test") is not None
    finally:
        elsewhere.close()


def test_a_bundle_carries_the_thresholds_that_were_changed(
    service: Service, colours: Run, tmp_path: Path
) -> None:
    plain = exported(service.registry, "colours")[1]
    assert b'"thresholds"' not in plain
    wanted = Thresholds(unlike=2.0)
    service.registry.thresholds.set("colours@1", wanted, actor="ann")
    data = exported(service.registry, "colours")[1]
    elsewhere = tiny_service(Settings(home=tmp_path / "elsewhere", base="tiny"))
    try:
        actions = Actions(elsewhere, LOCAL)
        assert actions.import_bundle(saved(data, tmp_path)).thresholds == wanted
        # a version that is already there keeps its own
        actions.set_thresholds("colours@1", AS_TRAINED)
        assert actions.import_bundle(saved(data, tmp_path)).thresholds == AS_TRAINED
    finally:
        elsewhere.close()


def test_importing_the_same_bundle_again_gives_the_same_version(
    service: Service, colours: Run, tmp_path: Path
) -> None:
    _name, data = exported(service.registry, "colours@1")
    assert Actions(service, LOCAL).import_bundle(saved(data, tmp_path)).ref == "colours@1"
    assert len(service.registry.catalog.versions("colours")) == 1


def test_a_bundle_made_on_other_weights_is_refused(service: Service, colours: Run, tmp_path: Path) -> None:
    _name, data = exported(service.registry, "colours")
    other = Service(
        Settings(home=tmp_path / "other", base="tiny"),
        load=lambda name, _folder, _progress: tiny_base(name=name, seed=1),
    )
    try:
        with pytest.raises(BaseRefused, match="other weights here"):
            Actions(other, LOCAL).import_bundle(saved(data, tmp_path))
        assert other.registry.catalog.adapters() == []
    finally:
        other.close()


def test_a_bundle_made_on_another_base_is_taken_in_with_that_base(
    service: Service, colours: Run, tmp_path: Path
) -> None:
    _name, data = exported(service.registry, "colours")
    other = Service(
        Settings(home=tmp_path / "other", base="another"),
        load=lambda name, _folder, _progress: tiny_base(name=name, seed=0 if name == "tiny" else 1),
    )
    try:
        version = Actions(other, LOCAL).import_bundle(saved(data, tmp_path))
        assert (version.ref, version.base.name) == ("colours@1", "tiny")
        assert [info.status for info in other.predictor.tasks()] == ["ready"]
    finally:
        other.close()


def test_a_file_that_is_no_bundle_is_refused(service: Service, tmp_path: Path) -> None:
    with pytest.raises(AdapterFormatError, match="not an adapter bundle"):
        Actions(service, LOCAL).import_bundle(saved(b"hello", tmp_path))


@pytest.mark.parametrize("metrics", [b'{"validation": {}}', b'{"validation": "x"}', b"[1]"])
def test_a_bundle_with_unusable_metrics_is_refused(
    service: Service, colours: Run, tmp_path: Path, metrics: bytes
) -> None:
    bundle = read_bundle(exported(service.registry, "colours")[1])
    task = json.loads(bundle.files["task.json"])
    task["training"]["metrics"] = json.loads(metrics)
    changed = replace(bundle, files={**bundle.files, "task.json": json.dumps(task).encode()})
    with pytest.raises(AdapterFormatError, match="metrics"):
        Actions(service, LOCAL).import_bundle(saved(write_bundle(changed), tmp_path))


def test_a_bundle_with_an_unusable_name_is_refused(service: Service, colours: Run, tmp_path: Path) -> None:
    bundle = read_bundle(exported(service.registry, "colours")[1])
    with pytest.raises(InvalidSlug):
        Actions(service, LOCAL).import_bundle(saved(write_bundle(replace(bundle, name="../evil")), tmp_path))


def test_a_changed_weight_is_refused_even_if_the_manifest_was_written_anew(
    service: Service, colours: Run, tmp_path: Path
) -> None:
    bundle = read_bundle(exported(service.registry, "colours")[1])
    weights = bytearray(bundle.files["adapter_model.safetensors"])
    weights[-1] ^= 1
    changed = replace(bundle, files={**bundle.files, "adapter_model.safetensors": bytes(weights)})
    with pytest.raises(AdapterFormatError, match="differs from its hash"):
        Actions(service, LOCAL).import_bundle(saved(write_bundle(changed), tmp_path))
    assert len(service.registry.catalog.versions("colours")) == 1


def test_card_and_thumbnail_are_files_of_the_version_and_travel(service: Service, colours: Run) -> None:
    version = service.registry.catalog.resolve("colours")
    assert {"README.md", "thumbnail.webp"} <= {file.path for file in version.files}
    files = read_bundle(exported(service.registry, "colours")[1]).files
    assert files == service.registry.catalog.read_files(version)
    test = version.evaluation("test")
    assert test is not None
    assert (
        f"| test | 8 | {test.accuracy:.4f} | {test.linear_probe_accuracy:.4f} |"
        in files["README.md"].decode()
    )
    thumbnail = thumbnail_of(service.registry, version)
    assert thumbnail == files["thumbnail.webp"]
    image = load_rgb(thumbnail or b"")
    assert image.size == (256, 128)
    green, red = image.getpixel((64, 64)), image.getpixel((192, 64))
    assert isinstance(green, tuple)
    assert isinstance(red, tuple)
    assert (green.index(max(green)), red.index(max(red))) == (1, 0)


def test_title_description_and_tags_travel_and_a_second_import_changes_nothing(
    service: Service, colours: Run, tmp_path: Path
) -> None:
    bundle = read_bundle(exported(service.registry, "colours")[1])
    told = replace(bundle, title="Two colours", description="Red\nor green.", tags=("demo", "small"))
    elsewhere = tiny_service(Settings(home=tmp_path / "elsewhere", base="tiny"))
    try:
        path = saved(write_bundle(told), tmp_path)
        version = Actions(elsewhere, LOCAL).import_bundle(path)
        assert (version.title, version.description) == ("Two colours", "Red\nor green.")
        assert read_bundle(exported(elsewhere.registry, "colours")[1]) == told
        assert exported(elsewhere.registry, "colours")[1] == write_bundle(told)
        events = len(elsewhere.registry.catalog.events())
        assert Actions(elsewhere, LOCAL).import_bundle(path) == version
        assert len(elsewhere.registry.catalog.events()) == events
    finally:
        elsewhere.close()


def test_results_by_class_reach_the_catalog_and_travel_with_a_bundle(
    service: Service, colours: Run, tmp_path: Path
) -> None:
    version = service.registry.catalog.resolve("colours")
    here = {split: service.registry.evaluations.details(version, split) for split in SPLITS}
    for split, found in here.items():
        evaluation = version.evaluation(split)
        assert found is not None
        assert evaluation is not None
        assert sum(cell.n for cell in found.confusion) == evaluation.n
        assert sum(one.support for one in found.classes) == evaluation.n
        assert evaluation.calibration_error is not None
    elsewhere = tiny_service(Settings(home=tmp_path / "elsewhere", base="tiny"))
    try:
        imported = Actions(elsewhere, member("bob", "editor")).import_bundle(
            saved(exported(service.registry, "colours")[1], tmp_path)
        )
        assert {s: elsewhere.registry.evaluations.details(imported, s) for s in SPLITS} == here
        assert imported.created_by == "bob"
    finally:
        elsewhere.close()


def with_task(bundle: Bundle, task: dict[str, Any]) -> Bundle:
    """The bundle with another description, as if it had been exported so."""
    return replace(bundle, files={**bundle.files, "task.json": json.dumps(task).encode()})


def test_a_bundle_from_before_results_by_class_is_still_taken_in(
    service: Service, colours: Run, tmp_path: Path
) -> None:
    bundle = read_bundle(exported(service.registry, "colours")[1])
    task = json.loads(bundle.files["task.json"])
    for name in ("classes", "confusion", "top5_accuracy", "calibration_error"):
        del task["training"]["metrics"]["validation"][name]
    version = Actions(service, LOCAL).import_bundle(saved(write_bundle(with_task(bundle, task)), tmp_path))
    found = version.evaluation("validation")
    assert (version.ref, found and found.calibration_error) == ("colours@2", None)
    details = service.registry.evaluations.details(version, "validation")
    assert details is not None
    assert details.classes == ()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("classes", {"precision": [1.0], "recall": [1.0], "f1": [1.0]}),
        ("classes", {"precision": [1.0], "recall": [1.0], "f1": [1.0], "support": [1, 2]}),
        ("classes", [1]),
        ("confusion", {"red": {"0": 1}}),
        ("confusion", {"0": 7}),
        ("calibration_error", "low"),
        ("reliability", {"confidence": "0.5", "correct": "11"}),
        ("reliability", [1]),
    ],
)
def test_a_bundle_whose_results_by_class_are_none_is_refused(
    service: Service, colours: Run, tmp_path: Path, name: str, value: object
) -> None:
    bundle = read_bundle(exported(service.registry, "colours")[1])
    task = json.loads(bundle.files["task.json"])
    task["training"]["metrics"]["validation"][name] = value
    with pytest.raises(AdapterFormatError, match="metrics"):
        Actions(service, LOCAL).import_bundle(saved(write_bundle(with_task(bundle, task)), tmp_path))


def offer(service: Service) -> None:
    add_bundled(service.registry, service.base_for, service.settings, lambda _fraction, _stage: None)


@pytest.fixture
def bundled(service: Service, colours: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An adapter that comes with the app, made for the base of `elsewhere`; its slug."""
    path = saved(exported(service.registry, "colours")[1], tmp_path)
    monkeypatch.setattr("loravit_web.catalog.exchange.bundles", lambda: {"colours": path})
    return "colours"


@pytest.mark.parametrize(
    ("base", "wanted", "there"), [("embedded", True, 1), ("embedded", False, 0), ("tiny", True, 0)]
)
def test_bundled_adapters_are_put_into_the_catalog_of_the_embedded_base_unless_unwanted(
    bundled: str, tmp_path: Path, base: str, wanted: bool, there: int
) -> None:
    settings = Settings(home=tmp_path / "elsewhere", base=base, bundled=wanted)
    elsewhere = Service(settings, load=lambda _name, _folder, _progress: tiny_base(name="tiny"))
    try:
        offer(elsewhere)
        assert [task.slug for task in elsewhere.predictor.tasks()] == [bundled] * there
    finally:
        elsewhere.close()


def test_a_bundled_adapter_that_somebody_archived_does_not_come_back(bundled: str, tmp_path: Path) -> None:
    elsewhere = Service(
        Settings(home=tmp_path / "elsewhere"), load=lambda _name, _folder, _progress: tiny_base(name="tiny")
    )
    try:
        offer(elsewhere)
        elsewhere.registry.catalog.archive(bundled, actor="ann")
        offer(elsewhere)
        assert elsewhere.predictor.empty
    finally:
        elsewhere.close()
