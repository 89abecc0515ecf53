from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from loravit_web.access.rights import LOCAL, member
from loravit_web.actions import Actions
from loravit_web.adapters.config import ViTAdapterConfig
from loravit_web.adapters.files.bundle import Bundle, read_bundle, write_bundle
from loravit_web.adapters.files.format import AdapterFormatError
from loravit_web.backbones.loading import BaseTooLarge
from loravit_web.catalog.naming import UnusableName, slugified
from loravit_web.engine.pool import BaseRefused
from loravit_web.images.loading import load_rgb
from loravit_web.service import Service
from loravit_web.settings.environment import Settings
from loravit_web.settings.limits import Limits
from registry import InvalidSlug, Registry, Run, Split
from tests.conftest import RECIPE, ColourFolders, tiny_base, tiny_service

SPLITS: tuple[Split, ...] = ("validation", "test")


def trained(service: Service, data: Path, name: str = "Colours") -> Run:
    return service.train_now(service.import_dataset(data), name, RECIPE, service.new_worker())


def saved(data: bytes, folder: Path) -> Path:
    path = folder / "bundle.zip"
    path.write_bytes(data)
    return path


def test_a_name_becomes_a_slug_and_keeps_its_title() -> None:
    assert slugified("  My  Flöwers! ") == ("my-flowers", "My Flöwers!")
    assert slugified("cifar10-objects") == ("cifar10-objects", "Cifar10 objects")


@pytest.mark.parametrize("name", ["", "   ", "…", "花"])
def test_a_name_without_a_latin_letter_or_digit_is_refused(name: str) -> None:
    with pytest.raises(UnusableName, match="at least one letter"):
        slugified(name)


def test_a_training_ends_in_the_catalog_and_answers(service: Service, colour_folders: ColourFolders) -> None:
    run = trained(service, colour_folders(test=4))
    assert (run.status, run.published) == ("completed", "colours@1")
    dataset = service.datasets.load(run.dataset.fingerprint)
    picture = load_rgb(dataset.image_path(next(iter(dataset.select("train")))))
    (answer,) = service.predictor.classify(picture, ["colours"]).results
    assert answer.error is None
    assert answer.labels[0].label == dataset.classes[next(iter(dataset.select("train"))).label]


def test_the_linear_probe_stands_beside_the_adapter(service: Service, colours: Run) -> None:
    version = service.registry.catalog.resolve("colours")
    for split in ("validation", "test"):
        evaluation = version.evaluation(split)
        assert evaluation is not None
        assert evaluation.linear_probe_accuracy is not None


def test_a_queued_run_waits_for_a_worker(service: Service, colour_folders: ColourFolders) -> None:
    run = Actions(service, LOCAL).queue_training(service.import_dataset(colour_folders()), "Colours", RECIPE)
    assert run.status == "queued"
    service.new_worker().work(idle_exit=0.0)
    assert service.registry.runs.get(run.id).status == "completed"


def test_a_setting_that_does_not_fit_the_base_is_refused_before_a_run_exists(
    service: Service, colour_folders: ColourFolders
) -> None:
    dataset = service.import_dataset(colour_folders())
    with pytest.raises(Exception, match="multiple of its patch size 8"):
        Actions(service, LOCAL).queue_training(dataset, "Colours", replace(RECIPE, image_size=33))
    with pytest.raises(Exception, match="The base has 3 blocks"):
        Actions(service, LOCAL).queue_training(
            dataset, "Colours", replace(RECIPE, adapter=ViTAdapterConfig(blocks=9))
        )
    assert service.registry.runs.list() == []


def test_a_bundle_gives_the_same_answers_elsewhere(
    service: Service, colours: Run, colour_folders: ColourFolders, tmp_path: Path
) -> None:
    name, data = service.export("colours")
    assert name == "colours-v1.zip"
    elsewhere = tiny_service(Settings(home=tmp_path / "elsewhere", base="tiny"))
    try:
        version = Actions(elsewhere, LOCAL).import_bundle(saved(data, tmp_path))
        assert version.ref == "colours@1"
        assert version.title == "Colours"
        picture = load_rgb(next((colour_folders(test=1) / "test" / "red").iterdir()))
        here, there = (s.predictor.classify(picture, ["colours"]).results[0] for s in (service, elsewhere))
        # each app measures its own precision, so bfloat16 may answer beside float32
        assert [one.label for one in here.labels] == [one.label for one in there.labels]
        assert here.labels[0].score == pytest.approx(there.labels[0].score, abs=0.02)
        assert version.evaluation("test") is not None
    finally:
        elsewhere.close()


def test_importing_the_same_bundle_again_gives_the_same_version(
    service: Service, colours: Run, tmp_path: Path
) -> None:
    _name, data = service.export("colours@1")
    assert Actions(service, LOCAL).import_bundle(saved(data, tmp_path)).ref == "colours@1"
    assert len(service.registry.catalog.versions("colours")) == 1


def test_a_bundle_made_on_other_weights_is_refused(service: Service, colours: Run, tmp_path: Path) -> None:
    _name, data = service.export("colours")
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
    _name, data = service.export("colours")
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


def test_another_base_that_is_too_large_is_refused_without_being_loaded(service: Service) -> None:
    service.settings = replace(service.settings, limits=Limits(base_millions=10))
    with pytest.raises(BaseTooLarge, match="vit_small_patch16_224 has 22 million parameters"):
        service.predictor.engines.get("vit_small_patch16_224", "0" * 64)


def test_the_estimate_is_of_the_images_and_epochs_that_the_run_then_has(
    service: Service, colour_folders: ColourFolders
) -> None:
    dataset = service.import_dataset(colour_folders())
    said = service.estimate(dataset, RECIPE)
    run = service.train_now(dataset, "Colours", RECIPE, service.new_worker())
    version = service.registry.catalog.resolve(run.published or "")
    assert said.parameters == version.n_params
    assert (said.epochs, said.train_images) == (3, 20)  # of two times twelve a fifth is held out
    assert said.seconds > 0
    assert service.estimate(dataset, RECIPE).memory == said.memory


def test_a_file_that_is_no_bundle_is_refused(service: Service, tmp_path: Path) -> None:
    with pytest.raises(AdapterFormatError, match="not an adapter bundle"):
        Actions(service, LOCAL).import_bundle(saved(b"hello", tmp_path))


@pytest.mark.parametrize("metrics", [b'{"validation": {}}', b'{"validation": "x"}', b"[1]"])
def test_a_bundle_with_unusable_metrics_is_refused(
    service: Service, colours: Run, tmp_path: Path, metrics: bytes
) -> None:
    bundle = read_bundle(service.export("colours")[1])
    task = json.loads(bundle.files["task.json"])
    task["training"]["metrics"] = json.loads(metrics)
    changed = replace(bundle, files={**bundle.files, "task.json": json.dumps(task).encode()})
    with pytest.raises(AdapterFormatError, match="metrics"):
        Actions(service, LOCAL).import_bundle(saved(write_bundle(changed), tmp_path))


def test_a_bundle_with_an_unusable_name_is_refused(service: Service, colours: Run, tmp_path: Path) -> None:
    bundle = read_bundle(service.export("colours")[1])
    with pytest.raises(InvalidSlug):
        Actions(service, LOCAL).import_bundle(saved(write_bundle(replace(bundle, name="../evil")), tmp_path))


def test_a_changed_weight_is_refused_even_if_the_manifest_was_written_anew(
    service: Service, colours: Run, tmp_path: Path
) -> None:
    bundle = read_bundle(service.export("colours")[1])
    weights = bytearray(bundle.files["adapter_model.safetensors"])
    weights[-1] ^= 1
    changed = replace(bundle, files={**bundle.files, "adapter_model.safetensors": bytes(weights)})
    with pytest.raises(AdapterFormatError, match="differs from its hash"):
        Actions(service, LOCAL).import_bundle(saved(write_bundle(changed), tmp_path))
    assert len(service.registry.catalog.versions("colours")) == 1


def test_card_and_thumbnail_are_files_of_the_version_and_travel(service: Service, colours: Run) -> None:
    version = service.registry.catalog.resolve("colours")
    assert {"README.md", "thumbnail.webp"} <= {file.path for file in version.files}
    files = read_bundle(service.export("colours")[1]).files
    assert files == service.registry.catalog.read_files(version)
    test = version.evaluation("test")
    assert test is not None
    assert (
        f"| test | 8 | {test.accuracy:.4f} | {test.linear_probe_accuracy:.4f} |"
        in files["README.md"].decode()
    )
    thumbnail = service.thumbnail(version)
    assert thumbnail == files["thumbnail.webp"]
    picture = load_rgb(thumbnail or b"")
    assert picture.size == (256, 128)
    green, red = picture.getpixel((64, 64)), picture.getpixel((192, 64))
    assert isinstance(green, tuple)
    assert isinstance(red, tuple)
    assert (green.index(max(green)), red.index(max(red))) == (1, 0)


def test_title_description_and_tags_travel_and_a_second_import_changes_nothing(
    service: Service, colours: Run, tmp_path: Path
) -> None:
    exported = read_bundle(service.export("colours")[1])
    told = replace(exported, title="Two colours", description="Red\nor green.", tags=("demo", "small"))
    elsewhere = tiny_service(Settings(home=tmp_path / "elsewhere", base="tiny"))
    try:
        path = saved(write_bundle(told), tmp_path)
        version = Actions(elsewhere, LOCAL).import_bundle(path)
        assert (version.title, version.description) == ("Two colours", "Red\nor green.")
        assert read_bundle(elsewhere.export("colours")[1]) == told
        assert elsewhere.export("colours")[1] == write_bundle(told)
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
            saved(service.export("colours")[1], tmp_path)
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
    bundle = read_bundle(service.export("colours")[1])
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
    ],
)
def test_a_bundle_whose_results_by_class_are_none_is_refused(
    service: Service, colours: Run, tmp_path: Path, name: str, value: object
) -> None:
    bundle = read_bundle(service.export("colours")[1])
    task = json.loads(bundle.files["task.json"])
    task["training"]["metrics"]["validation"][name] = value
    with pytest.raises(AdapterFormatError, match="metrics"):
        Actions(service, LOCAL).import_bundle(saved(write_bundle(with_task(bundle, task)), tmp_path))


def test_who_asked_for_a_training_is_on_the_run_and_made_the_version(
    service: Service, colour_folders: ColourFolders
) -> None:
    dataset = service.import_dataset(colour_folders())
    run = service.train_now(dataset, "Colours", RECIPE, service.new_worker(), actor="ann")
    assert run.created_by == "ann"
    assert service.registry.catalog.resolve("colours").created_by == "ann"
    assert service.registry.catalog.adapter("colours").owner == "ann"
    assert (
        Actions(service, member("bob", "editor")).queue_training(dataset, "Colours", RECIPE).created_by
        == "bob"
    )


def test_answers_are_counted_and_written_down_at_the_latest_when_the_app_ends(
    service: Service, settings: Settings, colours: Run
) -> None:
    picture = Image.new("RGB", (32, 32))
    for _ in range(3):
        service.predictor.classify(picture, ["colours", "colours@1"])
    service.close()
    with Registry.open(settings.database_url, settings.artifacts) as registry:
        total = registry.usage.total("colours")
    assert (total.n, total.errors) == (6, 0)
    assert total.mean_ms is not None
    assert total.mean_ms > 0


@pytest.fixture
def bundled(
    service: Service, colour_folders: ColourFolders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> str:
    """An adapter that comes with the app, made for the base of `elsewhere`; its slug."""
    trained(service, colour_folders())
    path = saved(service.export("colours")[1], tmp_path)
    monkeypatch.setattr("loravit_web.service.bundles", lambda: {"colours": path})
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
        elsewhere.offer_bundled()
        assert [task.slug for task in elsewhere.predictor.tasks()] == [bundled] * there
    finally:
        elsewhere.close()


def test_a_bundled_adapter_that_somebody_archived_does_not_come_back(bundled: str, tmp_path: Path) -> None:
    elsewhere = Service(
        Settings(home=tmp_path / "elsewhere"), load=lambda _name, _folder, _progress: tiny_base(name="tiny")
    )
    try:
        elsewhere.offer_bundled()
        elsewhere.registry.catalog.archive(bundled, actor="ann")
        elsewhere.offer_bundled()
        assert elsewhere.predictor.empty
    finally:
        elsewhere.close()
