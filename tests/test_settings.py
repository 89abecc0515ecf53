from __future__ import annotations

from pathlib import Path

import pytest

from loravit_web.settings import SettingsError, read_settings


def test_the_environment_decides_folder_and_base(tmp_path: Path) -> None:
    settings = read_settings({"LORAVIT_HOME": str(tmp_path), "LORAVIT_BASE": "vit_tiny_patch16_224"})
    assert settings.home == tmp_path
    assert settings.base == "vit_tiny_patch16_224"


def test_without_an_environment_the_data_lies_in_the_home_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/somewhere")
    settings = read_settings({})
    assert settings.home == Path("/somewhere/.loravit-web")
    assert settings.base == "embedded"


def test_a_file_as_home_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(SettingsError, match="is a file: name a folder"):
        read_settings({"LORAVIT_HOME": str(file)})


def test_everything_lies_below_the_home(tmp_path: Path) -> None:
    settings = read_settings({"LORAVIT_HOME": str(tmp_path)})
    for folder in (settings.bases, settings.datasets, settings.artifacts, settings.work, settings.backups):
        assert folder.is_relative_to(tmp_path)
    assert str(tmp_path) in settings.database_url


def test_a_folder_that_cannot_be_made_is_refused_with_the_reason(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    settings = read_settings({"LORAVIT_HOME": str(file / "below")})
    with pytest.raises(SettingsError, match="can't be created"):
        settings.made()


@pytest.mark.parametrize("address", ["s3://team/adapters", "file:///data/artifacts"])
def test_an_artifact_address_is_taken_as_it_is(tmp_path: Path, address: str) -> None:
    settings = read_settings({"LORAVIT_HOME": str(tmp_path), "LORAVIT_ARTIFACT_URL": address})
    assert settings.artifacts == address
    assert settings.artifact_cache.is_relative_to(tmp_path)


def test_a_folder_for_artifacts_means_the_same_from_wherever_the_worker_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert read_settings({"LORAVIT_ARTIFACT_URL": "shared"}).artifacts == str(tmp_path / "shared")


def test_an_empty_artifact_address_means_the_default(tmp_path: Path) -> None:
    settings = read_settings({"LORAVIT_HOME": str(tmp_path), "LORAVIT_ARTIFACT_URL": ""})
    assert settings.artifacts == tmp_path / "artifacts"


def test_another_database_is_taken_from_the_environment_and_its_password_is_not_shown(tmp_path: Path) -> None:
    url = "postgresql+psycopg://me:secret@host/name"
    settings = read_settings({"LORAVIT_HOME": str(tmp_path), "LORAVIT_DATABASE_URL": url})
    assert settings.database_url == url
    assert "secret" not in repr(settings)


def test_the_adapters_that_come_with_the_app_can_be_left_out(tmp_path: Path) -> None:
    assert read_settings({}).bundled
    assert not read_settings({"LORAVIT_BUNDLED": "no"}).bundled
    with pytest.raises(SettingsError, match="LORAVIT_BUNDLED is maybe: set it to yes or no"):
        read_settings({"LORAVIT_BUNDLED": "maybe"})
