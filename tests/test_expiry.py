"""Two visitors of a demo: each sees what is their own, and of what has expired nothing is left."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest
from PIL import Image

from loravit_web.access.actions import UserActions
from loravit_web.access.rights import SHELL
from loravit_web.actions import Actions
from loravit_web.datasets import DatasetNotFound
from loravit_web.expiry import Expiry, served_folder
from loravit_web.service import Service
from loravit_web.settings.environment import Settings
from loravit_web.settings.modes import DemoRules
from loravit_web.visibility import Seen
from registry import AdapterQuery, BlobStoreUnreachable, Run, RunQuery, UnknownAdapter, UnknownRun, utc_now
from tests.conftest import RECIPE, make_colours, tiny_service, train_now

RULES = DemoRules(training=True, images=100, runs=5)
LATER = timedelta(hours=25)
SECRET = ("zebrafinch", "quaggawren")
IMAGE = Image.new("RGB", (32, 32), (200, 30, 30))


@pytest.fixture
def settings(settings: Settings, tmp_path: Path) -> Settings:
    return replace(settings, mode="demo", demo=RULES, uploads=tmp_path / "gradio")


@dataclass(frozen=True)
class Guest:
    """A visitor who trained one adapter."""

    name: str
    actions: Actions
    seen: Seen
    run: Run

    @property
    def slug(self) -> str:
        return self.run.slug


@pytest.fixture
def train(service: Service, tmp_path: Path) -> Callable[..., Guest]:
    def train(name: str, title: str, classes: tuple[str, str]) -> Guest:
        visitor = service.visitor(name)
        upload = tmp_path / "gradio" / f"upload-{name}"
        upload.mkdir(parents=True, exist_ok=True)
        archive = shutil.make_archive(
            str(upload / title), "zip", make_colours(tmp_path / f"{name}-{title}-{classes[0]}", names=classes)
        )
        actions = Actions(service, visitor, uploads=[Path(archive)])
        run = actions.queue_training(actions.import_dataset(archive, name=title), title, RECIPE)
        claimed = service.registry.runs.claim("w")
        assert claimed is not None
        worker = service.new_worker()
        worker.add_base(*service.loaded)
        done = worker.execute(claimed)
        assert done.published == f"{run.slug}@1"
        return Guest(name, actions, service.seen_by(visitor), done)

    return train


@pytest.fixture
def first(train: Callable[..., Guest]) -> Guest:
    return train("guest-1", "Zebrafinches", SECRET)


@pytest.fixture
def second(train: Callable[..., Guest]) -> Guest:
    return train("guest-2", "Colours", ("red", "green"))


def traces(*folders: Path) -> Iterator[str]:
    """Files whose name or content tells of what the first visitor gave."""
    words = [*SECRET, "zebrafinches", "Zebrafinches", "guest-1"]
    for folder in folders:
        for path in folder.rglob("*"):
            content = path.read_bytes() if path.is_file() else b""
            if any(word in str(path) or word.encode() in content for word in words):
                yield str(path)


def test_neither_sees_or_asks_what_is_the_others(first: Guest, second: Guest) -> None:
    for one, other in ((first, second), (second, first)):
        seen = one.seen
        assert [info.slug for info in seen.predictor.tasks()] == [one.slug]
        assert [info.slug for info in seen.predictor.offered([other.slug])] == [one.slug]
        assert seen.predictor.offered(text=other.run.title) == []
        assert seen.predictor.newest(9) == [one.slug]
        assert seen.registry.search.adapters(AdapterQuery()).total == 1
        assert seen.registry.search.runs(RunQuery()).total == 1
        for ref in (other.slug, f"{other.slug}@1", f"{other.slug}@latest"):
            (answer,) = seen.predictor.classify(IMAGE, [ref]).results
            (nothing,) = seen.predictor.classify(IMAGE, [ref.replace(other.slug, "nothing")]).results
            assert answer.labels == ()
            assert str(answer.error).replace(other.slug, "nothing") == nothing.error
            with pytest.raises(UnknownAdapter):
                seen.predictor.heatmap(IMAGE, ref, "red")
            with pytest.raises(UnknownAdapter):
                seen.export(ref)
        with pytest.raises(UnknownRun):
            seen.registry.runs.get(other.run.id)
        with pytest.raises(DatasetNotFound):
            seen.datasets.load(other.run.dataset.fingerprint)
        assert seen.datasets.list() == [one.run.dataset.fingerprint]
        assert seen.predictor.classify(IMAGE, [one.slug]).results[0].labels


def test_the_same_images_of_two_visitors_are_two_datasets_with_the_names_that_each_gave(
    service: Service, tmp_path: Path
) -> None:
    folder = make_colours(tmp_path / "same")
    datasets = [
        Actions(service, service.visitor(f"guest-{number}")).import_dataset(folder, name=f"Of {number}")
        for number in (1, 2)
    ]
    assert datasets[0].fingerprint != datasets[1].fingerprint
    assert [dataset.name for dataset in datasets] == ["Of 1", "Of 2"]


def test_nothing_is_answered_or_left_on_the_disk_after_its_time(
    first: Guest, second: Guest, service: Service, tmp_path: Path, settings: Settings
) -> None:
    uploads = settings.uploads
    assert uploads is not None
    served = uploads / served_folder("guest-1") / "catalog"
    served.mkdir(parents=True)
    (served / "copy.zip").write_bytes(SECRET[0].encode())
    (settings.work / first.run.id).mkdir(parents=True)
    (settings.work / first.run.id / "checkpoint").write_bytes(SECRET[0].encode())
    settings.worker_log.parent.mkdir(parents=True, exist_ok=True)
    settings.worker_log.write_text(f"it failed at {SECRET[0]}")
    (answer,) = first.seen.predictor.classify(IMAGE, [first.slug]).results
    assert answer.labels
    assert list(traces(settings.home, uploads))
    old_enough(service, first)

    forgotten = service.expire(utc_now() + LATER)

    assert first.slug in forgotten.adapters
    for seen in (first.seen, service.seen_by(service.visitor("guest-1"))):
        assert seen.predictor.tasks() == []
        (gone,) = seen.predictor.classify(IMAGE, [f"{first.slug}@1"]).results
        assert "There is no adapter" in str(gone.error)
        with pytest.raises(UnknownAdapter):
            seen.predictor.heatmap(IMAGE, first.slug, SECRET[0])
    service.registry.close()
    assert list(traces(settings.home, uploads)) == []


def old_enough(service: Service, *guests: Guest) -> None:
    """Date what they gave back, as files have the true time."""
    then = (utc_now() - 2 * LATER).timestamp()
    for one in guests:
        path = service.datasets.root / one.run.dataset.fingerprint / "giver.json"
        os.utime(path, (then, then))


def test_what_belongs_to_the_demo_itself_stays(
    first: Guest, service: Service, tmp_path: Path, settings: Settings
) -> None:
    dataset = service.datasets.import_source(make_colours(tmp_path / "kept"))
    kept = train_now(service, dataset, "Kept", RECIPE, service.new_worker(), actor="shell")
    old_enough(service, first)
    service.expire(utc_now() + 3 * LATER)
    assert service.datasets.list() == [dataset.fingerprint]
    assert service.registry.runs.get(kept.id).published == "kept@1"
    assert (settings.run_logs / f"{kept.id}.log").exists()
    assert service.predictor.classify(IMAGE, ["kept"]).results[0].labels


def test_the_same_name_after_its_time_is_another_adapter(
    first: Guest, service: Service, train: Callable[..., Guest]
) -> None:
    (before,) = first.seen.predictor.classify(IMAGE, [f"{first.slug}@1"]).results
    service.expire(utc_now() + LATER)
    again = train("guest-1", "Zebrafinches", ("red", "green"))
    assert again.slug == first.slug
    (after,) = again.seen.predictor.classify(IMAGE, [f"{first.slug}@1"]).results
    assert {label.label for label in before.labels} == set(SECRET)
    assert {label.label for label in after.labels} == {"red", "green"}


def test_another_process_answers_nothing_of_it_either(
    first: Guest, service: Service, settings: Settings
) -> None:
    other = tiny_service(settings)
    seen = other.seen_by(other.visitor("guest-1"))
    assert seen.predictor.classify(IMAGE, [first.slug]).results[0].labels
    service.expire(utc_now() + LATER)
    for ref in (first.slug, f"{first.slug}@1"):
        assert not seen.predictor.classify(IMAGE, [ref]).results[0].labels
    other.close()


def test_killed_in_the_middle_the_next_start_finishes(
    first: Guest, service: Service, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    old_enough(service, first)
    with monkeypatch.context() as patch:

        def killed(_self: object) -> None:
            raise BlobStoreUnreachable("here", "killed")

        patch.setattr("registry.maintenance.Maintenance.remove_released", killed)
        with pytest.raises(BlobStoreUnreachable):
            service.expire(utc_now() + LATER)
    assert (settings.run_logs / f"{first.run.id}.log").exists()
    assert service.datasets.list()
    other = tiny_service(settings)
    assert not other.expire(utc_now() + LATER)
    other.close()
    assert not (settings.run_logs / f"{first.run.id}.log").exists()
    service.registry.close()
    assert settings.uploads is not None
    assert list(traces(settings.home, settings.uploads)) == []


def test_a_dataset_that_was_being_removed_when_the_app_was_killed_goes(
    first: Guest, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(_path: object) -> None:
        raise OSError(5, "killed")

    old_enough(service, first)
    with monkeypatch.context() as patch:
        patch.setattr("loravit_web.datasets.store.shutil.rmtree", killed)
        with pytest.raises(Exception, match="can"):
            service.expire(utc_now() + LATER)
    service.expire(utc_now() + LATER)
    assert list(service.datasets.root.iterdir()) == []


def test_what_a_waiting_run_needs_stays(first: Guest, service: Service) -> None:
    dataset = first.seen.datasets.load(first.run.dataset.fingerprint)
    run = first.actions.queue_training(dataset, "Another", RECIPE)
    old_enough(service, first)
    service.expire(utc_now() + LATER)
    assert service.datasets.list() == [dataset.fingerprint]
    first.actions.stop(run.id, keep=False)
    service.expire(utc_now() + LATER)
    assert service.datasets.list() == []


def test_images_that_nobody_trained_on_go_too(service: Service, tmp_path: Path, settings: Settings) -> None:
    actions = Actions(service, service.visitor("guest-1"))
    dataset = actions.import_dataset(make_colours(tmp_path / "given"))
    service.expire(utc_now())
    assert service.datasets.list() == [dataset.fingerprint]
    service.expire(utc_now() + LATER)
    assert service.datasets.list() == []


def test_giving_the_same_images_again_keeps_them(service: Service, tmp_path: Path) -> None:
    folder = make_colours(tmp_path / "given")
    actions = Actions(service, service.visitor("guest-1"))
    dataset = actions.import_dataset(folder)
    path = service.datasets.root / dataset.fingerprint / "giver.json"
    os.utime(path, (0, 0))
    actions.import_dataset(folder)
    service.expire(utc_now())
    assert service.datasets.list() == [dataset.fingerprint]


@pytest.mark.parametrize("mode", ["local", "team"])
def test_in_another_mode_what_visitors_gave_is_seen_by_who_manages_and_still_goes(
    first: Guest, service: Service, settings: Settings, mode: str
) -> None:
    other = tiny_service(replace(settings, mode=mode))  # type: ignore[arg-type]  # one of the modes
    UserActions(other.registry, SHELL).add("vera", "a long password", "viewer")
    UserActions(other.registry, SHELL).add("ada", "a long password", "admin")
    seen = other.seen_by(other.visitor("ada"))
    assert seen.registry.catalog.resolve(first.slug)
    if mode == "team":
        with pytest.raises(UnknownAdapter):
            other.seen_by(other.visitor("vera")).registry.catalog.resolve(first.slug)
    other.start()
    assert seen.registry.catalog.resolve(first.slug)
    other.expire(utc_now() + LATER)
    with pytest.raises(UnknownAdapter):
        seen.registry.catalog.resolve(first.slug)
    other.close()


def test_copies_of_a_visitor_of_whom_nothing_is_stored_go_after_a_while(
    service: Service, settings: Settings
) -> None:
    assert settings.uploads is not None
    folders = {age: settings.uploads / served_folder(f"guest-{age}") / "x" for age in (0, 7200)}
    for age, folder in folders.items():
        folder.mkdir(parents=True)
        (folder / "answers.csv").write_text("x")
        then = utc_now().timestamp() - age
        os.utime(folder / "answers.csv", (then, then))
    Expiry(settings, service.registry, service.datasets, settings.uploads).carry_out(utc_now())
    assert [folder.exists() for folder in folders.values()] == [True, False]


def test_a_folder_for_temporary_files_of_another_user_is_left_alone(
    service: Service, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(self: Path) -> Iterator[Path]:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self))

    monkeypatch.setattr(Path, "iterdir", refused)
    expiry = Expiry(settings, service.registry, service.datasets, settings.uploads)
    expiry._remove_copies([])
    (settings.home / "file").touch()
    replace(expiry, uploads=settings.home / "file")._remove_copies([])


def test_only_uploads_are_removed_with_what_was_imported(
    service: Service, tmp_path: Path, settings: Settings
) -> None:
    outside = tmp_path / "outside.zip"
    outside.write_bytes(b"x")
    folder = make_colours(tmp_path / "given")
    Actions(service, service.visitor("guest-1"), uploads=[outside]).import_dataset(folder)
    service.expire(utc_now() + LATER)
    assert service.datasets.list() == []
    assert outside.exists()
