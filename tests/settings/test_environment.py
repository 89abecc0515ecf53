from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from loravit_web.settings.environment import SettingsError, read_settings, wants_plain_gradio
from registry import Registry, database_file


def test_the_environment_sets_folder_and_base(tmp_path: Path) -> None:
    settings = read_settings({"LORAVIT_HOME": str(tmp_path), "LORAVIT_BASE": "vit_tiny_patch16_224"})
    assert settings.home == tmp_path
    assert settings.base == "vit_tiny_patch16_224"


@pytest.mark.parametrize(
    "name", ["100%", "a%20b", "a b", "what?", "a?mode=memory", "a#b", "a&b=c", "%(here)s", "ä ;:@"]
)
def test_a_data_folder_of_any_name_opens_its_own_registry_and_no_other(tmp_path: Path, name: str) -> None:
    settings = read_settings({"LORAVIT_HOME": str(tmp_path / name)})
    for _ in range(2):
        settings.home.mkdir(exist_ok=True)
        with Registry.open(settings.database_url, settings.artifacts) as registry:
            assert registry.users.list() == []
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert database_file(settings.database_url) == tmp_path / name / "registry.db"
    assert (tmp_path / name / "registry.db").stat().st_size > 0


@pytest.mark.parametrize(("given", "plain"), [("", False), ("no", False), ("yes", True), (" YES", True)])
def test_gradio_can_run_without_the_apps_optimizations(given: str, plain: bool) -> None:
    environ = {"LORAVIT_PLAIN_GRADIO": given}
    assert read_settings(environ).plain_gradio is wants_plain_gradio(environ) is plain


def test_the_default_data_folder_is_in_the_home_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/somewhere")
    settings = read_settings({})
    assert settings.home == Path("/somewhere/.loravit-web")
    assert settings.base == "embedded"


def test_a_file_as_data_folder_is_rejected(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(SettingsError, match="which is a file. Set it to a folder"):
        read_settings({"LORAVIT_HOME": str(file)})


def test_all_data_is_below_the_data_folder(tmp_path: Path) -> None:
    settings = read_settings({"LORAVIT_HOME": str(tmp_path)})
    for folder in (settings.bases, settings.datasets, settings.artifacts, settings.work, settings.backups):
        assert folder.is_relative_to(tmp_path)
    assert database_file(settings.database_url) == tmp_path / "registry.db"


def test_a_folder_that_cannot_be_created_is_rejected(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    settings = read_settings({"LORAVIT_HOME": str(file / "below")})
    with pytest.raises(SettingsError, match="cannot be created"):
        settings.ensure_home()


@pytest.mark.parametrize("address", ["s3://team/adapters", "file:///data/artifacts"])
def test_an_artifact_address_is_not_changed(tmp_path: Path, address: str) -> None:
    settings = read_settings({"LORAVIT_HOME": str(tmp_path), "LORAVIT_ARTIFACT_URL": address})
    assert settings.artifacts == address
    assert settings.artifact_cache.is_relative_to(tmp_path)


def test_an_artifact_folder_is_absolute_for_a_worker_that_starts_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert read_settings({"LORAVIT_ARTIFACT_URL": "shared"}).artifacts == str(tmp_path / "shared")


def test_an_empty_artifact_address_is_the_default(tmp_path: Path) -> None:
    settings = read_settings({"LORAVIT_HOME": str(tmp_path), "LORAVIT_ARTIFACT_URL": ""})
    assert settings.artifacts == tmp_path / "artifacts"


def test_another_database_can_be_set_and_its_password_is_not_shown(tmp_path: Path) -> None:
    url = "postgresql+psycopg://me:secret@host/name"
    settings = read_settings({"LORAVIT_HOME": str(tmp_path), "LORAVIT_DATABASE_URL": url})
    assert settings.database_url == url
    assert "secret" not in repr(settings)


def test_the_bundled_adapters_can_be_omitted(tmp_path: Path) -> None:
    assert read_settings({}).bundled
    assert not read_settings({"LORAVIT_BUNDLED": "no"}).bundled
    with pytest.raises(SettingsError, match="LORAVIT_BUNDLED is maybe. Set it to yes or no"):
        read_settings({"LORAVIT_BUNDLED": "maybe"})


def mounted(*folders: str) -> Callable[[Path], bool]:
    return lambda folder: str(folder) in folders


def test_a_space_without_a_bucket_loses_its_data_at_a_restart() -> None:
    settings = read_settings({"SYSTEM": "spaces", "LORAVIT_HOME": "/nowhere/home"}, is_mount=mounted("/"))
    assert settings.restart_loses
    assert settings.snapshot_url is None


def test_a_space_saves_snapshots_in_its_mounted_bucket() -> None:
    settings = read_settings({"SYSTEM": "spaces", "LORAVIT_HOME": "/nowhere/home"}, is_mount=mounted("/data"))
    assert settings.snapshot_url == "/data/loravit-web"
    assert not settings.restart_loses


def test_a_space_with_data_on_a_mounted_disk_loses_nothing() -> None:
    environment = {"SYSTEM": "spaces", "LORAVIT_HOME": "/nowhere/home"}
    assert not read_settings(environment, is_mount=mounted("/nowhere")).restart_loses


def test_a_space_with_database_and_files_elsewhere_loses_nothing() -> None:
    environment = {"SYSTEM": "spaces", "LORAVIT_HOME": "/nowhere/home", "LORAVIT_ARTIFACT_URL": "s3://b"}
    assert read_settings(environment, is_mount=mounted()).restart_loses
    both = {**environment, "LORAVIT_DATABASE_URL": "postgresql+psycopg://h/n"}
    assert not read_settings(both, is_mount=mounted()).restart_loses


def test_a_machine_of_ones_own_loses_nothing_and_saves_no_snapshots_by_default(tmp_path: Path) -> None:
    settings = read_settings({"LORAVIT_HOME": str(tmp_path)}, is_mount=mounted("/data"))
    assert settings.snapshot_url is None
    assert not settings.restart_loses


@pytest.mark.parametrize("minutes", ["0", "-1", "soon", "nan", "inf"])
def test_an_invalid_interval_is_rejected(minutes: str) -> None:
    with pytest.raises(SettingsError, match="LORAVIT_SNAPSHOT_MINUTES is .*number above 0"):
        read_settings({"LORAVIT_SNAPSHOT_MINUTES": minutes})


def test_the_snapshot_folder_is_known_if_it_is_on_this_machine() -> None:
    def folder(address: str) -> Path | None:
        return read_settings({"LORAVIT_SNAPSHOT_URL": address}).snapshot_folder

    assert folder("/mnt/place") == Path("/mnt/place")
    assert folder("file:///mnt/place") == Path("/mnt/place")
    assert folder("s3://bucket/place") is None
    assert folder("") is None


def test_the_limits_of_demo_visitors_are_set_by_the_environment() -> None:
    environ = {"LORAVIT_MODE": "demo", "LORAVIT_DEMO_MIB": "5", "LORAVIT_DEMO_TOTAL_MIB": "50"}
    settings = read_settings({**environ, "LORAVIT_DEMO_DATASETS": "4"})
    assert (settings.demo.mib, settings.demo.total_mib, settings.demo.datasets) == (5.0, 50.0, 4)
    assert settings.upload_bytes == 5 * 1024**2
    usual = read_settings({})
    assert (usual.demo.mib, usual.demo.total_mib, usual.demo.datasets) == (200.0, 2048.0, 10)
    assert usual.upload_bytes == usual.limits.upload_bytes


@pytest.mark.parametrize(
    ("environ", "executor", "take_ups"),
    [
        ({}, "local", 0),
        ({"LORAVIT_EXECUTOR": "Workers"}, "workers", 5),
        ({"LORAVIT_EXECUTOR": "ray"}, "ray", 5),
        ({"LORAVIT_EXECUTOR": "workers", "LORAVIT_MAX_TAKE_UPS": "2"}, "workers", 2),
    ],
)
def test_only_several_nodes_continue_runs_by_themselves(
    environ: dict[str, str], executor: str, take_ups: int
) -> None:
    settings = read_settings(environ)
    assert (settings.executor, settings.take_ups) == (executor, take_ups)


def test_an_unknown_executor_is_rejected() -> None:
    with pytest.raises(
        SettingsError, match="LORAVIT_EXECUTOR is celery. Set it to one of local, workers, ray"
    ):
        read_settings({"LORAVIT_EXECUTOR": "celery"})


@pytest.mark.parametrize("device", ["auto", "cpu", "cuda", "cuda:1", "mps"])
def test_a_device_can_be_chosen(device: str) -> None:
    assert read_settings({"LORAVIT_DEVICE": device}).device == device


def test_the_device_is_the_cpu_unless_another_is_named() -> None:
    assert read_settings({}).device == "cpu"


def test_an_unknown_device_is_refused() -> None:
    with pytest.raises(
        SettingsError, match="LORAVIT_DEVICE is gpu. Set it to auto, cpu, cuda, cuda:N or mps"
    ):
        read_settings({"LORAVIT_DEVICE": "gpu"})


@pytest.mark.parametrize("engine", ["auto", "torch", "openvino"])
def test_an_engine_can_be_chosen(engine: str) -> None:
    assert read_settings({"LORAVIT_ENGINE": engine}).engine == engine


def test_the_engine_is_measured_unless_one_is_named() -> None:
    assert read_settings({}).engine == "auto"


def test_an_unknown_engine_is_refused() -> None:
    with pytest.raises(SettingsError, match="LORAVIT_ENGINE is onnx. Set it to one of auto, torch, openvino"):
        read_settings({"LORAVIT_ENGINE": "onnx"})


def test_on_zero_gpu_the_device_is_the_cpu_unless_another_is_named() -> None:
    assert read_settings({"LORAVIT_DEVICE": "auto", "SPACES_ZERO_GPU": "true"}).device == "cpu"
    assert read_settings({"SPACES_ZERO_GPU": "true", "LORAVIT_DEVICE": "cuda"}).device == "cuda"
