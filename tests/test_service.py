"""A data folder that is opened: it trains, answers, counts, and closes."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from loravit_web.backbones.loading import BaseTooLarge
from loravit_web.images.loading import load_rgb
from loravit_web.service import Service
from loravit_web.settings.environment import Settings
from loravit_web.settings.limits import Limits
from registry import Registry, Run
from tests.conftest import RECIPE, ColourFolders, train_now


def trained(service: Service, data: Path, name: str = "Colours") -> Run:
    return train_now(service, service.datasets.import_source(data), name, RECIPE, service.new_worker())


def test_a_training_ends_in_the_catalog_and_answers(service: Service, colour_folders: ColourFolders) -> None:
    run = trained(service, colour_folders(test=4))
    assert (run.status, run.published) == ("completed", "colours@1")
    dataset = service.datasets.load(run.dataset.fingerprint)
    image = load_rgb(dataset.image_path(next(iter(dataset.select("train")))))
    (answer,) = service.predictor.classify(image, ["colours"]).results
    assert answer.error is None
    assert answer.labels[0].label == dataset.classes[next(iter(dataset.select("train"))).label]


def test_the_probe_stands_beside_the_adapter(service: Service, colours: Run) -> None:
    version = service.registry.catalog.resolve("colours")
    for split in ("validation", "test"):
        evaluation = version.evaluation(split)
        assert evaluation is not None
        assert evaluation.linear_probe_accuracy is not None


def test_the_newest_versions_are_loaded_soon_after_the_start(
    service: Service, colours: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loravit_web.service.PRELOAD_SECONDS", 0)
    service.predictor.engines.remove_adapters()
    service.start()
    assert service.predictor.loaded() == []
    service.preload()
    (thread,) = [one for one in threading.enumerate() if one.name == "preload"]
    thread.join()
    assert service.predictor.loaded() == [colours.slug]


def test_another_base_that_is_too_large_is_refused_without_being_loaded(service: Service) -> None:
    service.settings = replace(service.settings, limits=Limits(base_millions=10))
    with pytest.raises(BaseTooLarge, match="vit_small_patch16_224 has 22 million parameters"):
        service.predictor.engines.get("vit_small_patch16_224", "0" * 64)


def test_answers_are_counted_and_written_down_at_the_latest_when_the_app_ends(
    service: Service, settings: Settings, colours: Run
) -> None:
    image = Image.new("RGB", (32, 32))
    for _ in range(3):
        service.predictor.classify(image, ["colours", "colours@1"])
    service.close()
    with Registry.open(settings.database_url, settings.artifacts) as registry:
        total = registry.usage.total("colours")
    assert (total.n, total.errors) == (6, 0)
    assert total.mean_ms is not None
    assert total.mean_ms > 0
