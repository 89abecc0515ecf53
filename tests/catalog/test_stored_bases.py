"""A base that the artifact store holds is loaded from there, whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest

from loravit_web.backbones import Base, BaseUnavailable
from loravit_web.catalog import stored_bases
from loravit_web.catalog.stored_bases import (
    NameReserved,
    StoredBaseUnusable,
    StoreUnreachable,
    architecture_of,
    find_base,
    new_stored_base,
)
from loravit_web.worker.failures import describe_failure
from registry import BlobStoreUnreachable, Registry, StoredBase
from tests.backbones.test_weights_file import TINY, base_of, random_model


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    with Registry.open(f"sqlite:///{tmp_path / 'registry.db'}", tmp_path / "artifacts") as opened:
        yield opened


@pytest.fixture
def tiny() -> Base:
    """A random base of a real architecture, because a stored base is built from its architecture's name."""
    channels = (0.1, 0.2, 0.3)
    return replace(base_of(dict(random_model().state_dict())), mean=channels, std=channels)


@pytest.fixture
def stored(registry: Registry, tiny: Base) -> StoredBase:
    new = new_stored_base(tiny, "team-vit", license="MIT", card="")
    return registry.base_files.add(new, actor="ann")


def found(registry: Registry, name: str = "team-vit") -> Base:
    def no_other(name: str, _folder: Path, _progress: object) -> Base:
        raise BaseUnavailable(f"{name} is asked of the hub")

    return find_base(registry, no_other, name, Path("nowhere"), lambda _fraction, _stage: None)


def test_a_stored_base_needs_no_hub_and_is_the_same(
    registry: Registry, tiny: Base, stored: StoredBase
) -> None:
    base = found(registry)
    assert (base.name, base.architecture) == ("team-vit", TINY)
    assert (base.weights_sha256, base.mean, base.std) == (tiny.weights_sha256, tiny.mean, tiny.std)
    assert (stored.patch_size, stored.parameters, stored.license) == (16, 306_240, "MIT")
    assert architecture_of(registry, "team-vit") == TINY


def test_another_machine_keeps_a_checked_copy_of_a_base_in_a_bucket(tmp_path: Path, tiny: Base) -> None:
    address, cache = f"memory://{uuid4().hex}", tmp_path / "cache"
    with Registry.open(f"sqlite:///{tmp_path / 'registry.db'}", address, cache=cache) as registry:
        new = new_stored_base(tiny, "team-vit", license="", card="")
        stored = registry.base_files.add(new, actor="ann")
        assert not cache.exists()
        assert found(registry).weights_sha256 == tiny.weights_sha256
        copy = cache / stored.weights.sha256
        copy.write_bytes(copy.read_bytes()[:-1] + b"?")
        assert found(registry).weights_sha256 == tiny.weights_sha256
        (file,) = registry.blobs.list()
        registry.blobs.delete(file)
        assert found(registry).weights_sha256 == tiny.weights_sha256
        copy.unlink()
        with pytest.raises(StoredBaseUnusable, match="is missing"):
            found(registry)


def test_a_base_that_is_not_stored_comes_from_elsewhere(registry: Registry, stored: StoredBase) -> None:
    with pytest.raises(BaseUnavailable, match="team is asked of the hub"):
        found(registry, "team")
    assert architecture_of(registry, "team") == "team"


def test_the_name_of_the_embedded_base_is_reserved(tiny: Base) -> None:
    with pytest.raises(NameReserved, match="means the embedded base. Choose another name"):
        new_stored_base(tiny, "embedded", license="", card="")


@pytest.mark.parametrize("fault", ["damaged", "missing"])
def test_a_broken_file_is_reported_without_fallback_and_adding_it_again_mends_it(
    registry: Registry, tiny: Base, stored: StoredBase, fault: str
) -> None:
    path = Path(registry.blobs.where(stored.weights.sha256))
    path.write_bytes(path.read_bytes()[:-1] + b"?") if fault == "damaged" else path.unlink()
    again = "Add it again with loravit bases add team-vit"
    with pytest.raises(StoredBaseUnusable, match=f"base team-vit .*is {fault}.*{again}") as caught:
        found(registry)
    assert describe_failure(caught.value) == ("base", str(caught.value))
    registry.base_files.add(new_stored_base(tiny, "team-vit", license="", card=""), actor="ann")
    assert found(registry).weights_sha256 == tiny.weights_sha256


def test_a_store_that_does_not_answer_is_reported_to_visitors_without_its_address(
    registry: Registry, stored: StoredBase, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(_base: StoredBase) -> bytes:
        raise BlobStoreUnreachable("s3://secret-bucket", "timed out")

    monkeypatch.setattr(registry.base_files, "weights", unreachable)
    with pytest.raises(StoreUnreachable, match="secret-bucket") as caught:
        found(registry)
    assert "secret-bucket" not in caught.value.in_public


def test_weights_that_another_timm_reads_differently_are_refused(
    registry: Registry, tiny: Base, stored: StoredBase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        stored_bases, "base_of_weights", lambda *_, **__: replace(tiny, weights_sha256="0" * 64)
    )
    with pytest.raises(StoredBaseUnusable, match="has other weights here.*Install the version of timm"):
        found(registry)
