"""Bases and datasets are stored once, however many callers register them."""

import threading

import pytest

from registry import Base, Dataset, DatasetClass, InvalidValue, NewBase, NewDataset, Registry, UnknownDataset

BASE = NewBase("vit", "b" * 64, "vit_small", 384, 12)


def test_ensuring_a_base_again_gives_the_same_one(registry: Registry) -> None:
    first = registry.bases.ensure(BASE)
    assert registry.bases.ensure(BASE) == first
    assert (first.name, first.weights_sha256, first.embed_dim, first.depth) == ("vit", "b" * 64, 384, 12)


def test_the_same_name_with_other_weights_is_another_base(registry: Registry) -> None:
    other = NewBase("vit", "c" * 64, "vit_small", 384, 12)
    assert registry.bases.ensure(BASE).id != registry.bases.ensure(other).id


def test_concurrent_callers_register_one_base_and_one_dataset(registry: Registry) -> None:
    new = NewDataset("fp", "pets", "zip", (DatasetClass("cat", 1, 1, 1),))
    begin = threading.Barrier(6)
    found: list[tuple[Base, Dataset]] = []

    def ensure() -> None:
        begin.wait()
        found.append((registry.bases.ensure(BASE), registry.datasets.ensure(new)))

    threads = [threading.Thread(target=ensure) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [found[0]] * 6


def test_a_dataset_is_read_with_its_classes_in_order_and_its_images_counted(registry: Registry) -> None:
    classes = (DatasetClass("zebra", 4, 2, 1), DatasetClass("ant", 3, 1, 0))
    stored = registry.datasets.ensure(NewDataset("fp", "animals", "folder", classes))
    assert registry.datasets.get("fp") == stored
    assert stored.classes == classes
    assert (stored.n_images, stored.n_classes, stored.source_kind) == (11, 2, "folder")


def test_an_unknown_fingerprint_is_not_found(registry: Registry) -> None:
    with pytest.raises(UnknownDataset, match="no dataset 'fp'"):
        registry.datasets.get("fp")


def test_a_deletion_of_images_is_recorded_and_the_dataset_stays(registry: Registry) -> None:
    stored = registry.datasets.ensure(NewDataset("fp", "pets", "zip", (DatasetClass("cat", 1, 1, 1),)))
    registry.datasets.record_deletion("fp", images=3, actor="ann")
    (event,) = registry.catalog.events()
    assert (event.actor, event.kind, event.entity, event.entity_id) == ("ann", "deleted", "dataset", "fp")
    assert event.payload == {"images": 3}
    assert registry.datasets.get("fp") == stored


@pytest.mark.parametrize("names", [("cat", "cat"), ("cat", "undecodable \udce4")])
def test_class_names_that_cannot_be_stored_are_refused(registry: Registry, names: tuple[str, str]) -> None:
    classes = tuple(DatasetClass(name, 1, 1, 1) for name in names)
    with pytest.raises(InvalidValue, match="pets"):
        registry.datasets.ensure(NewDataset("fp", "pets", "zip", classes))
