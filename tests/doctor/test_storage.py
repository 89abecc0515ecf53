"""Missing, damaged and left-over files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import fsspec
import pytest

from loravit_web.doctor import examine, storage
from loravit_web.settings.environment import Settings
from registry import NewBase, NewStoredBase, NewVersion, Registry, Version
from tests.doctor.conftest import Publish, about, make_older, mended, problems


def file_of(registry: Registry, version: Version) -> Path:
    return Path(registry.blobs.where(version.weights_sha256))


@pytest.mark.parametrize("fault", ["damaged", "missing"])
def test_a_broken_file_is_named_with_its_versions_and_mending_does_not_hide_it(
    settings: Settings, registry: Registry, publish: Publish, fault: str
) -> None:
    one = publish("pets")
    publish("zebras")  # of the same weights
    path = file_of(registry, one)
    path.write_bytes(b"?") if fault == "damaged" else path.unlink()
    for mend in (False, True):
        report = examine(settings, mend=mend)
        assert problems(report) == ["pets@1, zebras@1"]
        (found,) = about(report, "pets@1, zebras@1")
        assert str(path) in found.text
        assert mended(report) == []
    publish("pets")
    assert examine(settings).healthy


def test_a_broken_file_of_a_base_is_named_with_its_base(settings: Settings, registry: Registry) -> None:
    new = NewBase("team-vit", "a" * 64, "vit_small", 384, 12)
    channels = (0.5, 0.5, 0.5)
    stored = registry.base_files.add(NewStoredBase(new, b"weights", channels, channels, 14, 9), actor="ann")
    Path(registry.blobs.where(stored.weights.sha256)).write_bytes(b"?")
    report = examine(settings)
    assert problems(report) == ["base team-vit"]
    (found,) = about(report, "base team-vit")
    assert found.text.endswith("add the base again with loravit bases add team-vit.")


def test_old_leftovers_are_removed_on_request_and_young_ones_are_not_mentioned(
    settings: Settings, registry: Registry, publish: Publish
) -> None:
    version = publish()
    old, young = (
        Path(registry.blobs.where(registry.blobs.put_bytes(data).sha256)) for data in (b"old", b"young")
    )
    abandoned = settings.home / "artifacts" / "tmp" / ("1" * 32)
    abandoned.write_bytes(b"half")
    make_older(old)
    assert problems(examine(settings)) == ["leftover files"]
    make_older(abandoned)
    report = examine(settings, mend=True)
    assert mended(report) == ["removed 2 files (0.0 MB) of unfinished publications"]
    assert report.healthy
    assert (old.exists(), abandoned.exists(), young.exists()) == (False, False, True)
    assert registry.catalog.read_files(version)


def test_a_file_that_was_read_from_a_bucket_before_is_stored_there_again(settings: Settings) -> None:
    address = f"memory://{uuid4().hex}"
    settings = replace(settings, artifact_url=address)
    opened = Registry.open(settings.ensure_home().database_url, address, cache=settings.artifact_cache)
    with opened as registry:
        base = registry.bases.ensure(NewBase("vit", "a" * 64, "vit", 384, 12))
        files: dict[str, bytes | Path] = {"adapter_model.safetensors": b"weights"}
        version = registry.catalog.publish(
            NewVersion("pets", "Pets", "", None, base.id, None, "LORA", 1, 112, ("a", "b"), {}, files),
            actor="ada",
        )
        fsspec.filesystem("memory").rm_file(registry.blobs.where(version.weights_sha256))
        assert problems(examine(settings)) == ["pets@1"]
        report = examine(settings, mend=True)
        assert report.healthy
        (done,) = mended(report)
        assert version.weights_sha256 in done
        assert registry.blobs.read(version.weights_sha256, fresh=True) == b"weights"


def test_a_lost_disk_does_not_fill_the_screen(
    settings: Settings, registry: Registry, publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "MAX_SHOWN", 2)
    for n in range(4):
        file_of(registry, publish("pets", b"%d" % n)).unlink()
    report = examine(settings)
    assert len(problems(report)) == 3
    assert "4 files are missing or damaged" in about(report, "artifacts")[0].text


def test_an_artifact_address_that_can_not_be_used_is_told(settings: Settings, registry: Registry) -> None:
    report = examine(replace(settings, artifact_url="nonsense://x"))
    assert problems(report) == ["registry"]
    assert "nonsense://x" in about(report, "registry")[0].text
