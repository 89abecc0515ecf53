"""The example images may be shipped, open together with the tasks that fit them, and are written once."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from loravit_web.catalog.bundled import bundles
from loravit_web.catalog.exchange import add_bundled
from loravit_web.images.loading import load_rgb
from loravit_web.service import Service
from loravit_web.serving.answers import TaskInfo
from loravit_web.settings.environment import Settings
from loravit_web.ui.kit.uploads import uploaded_image
from loravit_web.ui.use import examples as module
from loravit_web.ui.use.examples import examples, examples_html, first_opening, opening_of
from tests.ui.conftest import RunningApp

PHOTOGRAPHS = Path(module.__file__).with_name("photographs")


def test_each_example_has_a_caption_and_bundled_tasks_that_fit_it() -> None:
    assert len({example.caption for example in examples()}) == len(examples()) >= 6
    for example in examples():
        assert example.tasks
        assert set(example.tasks) <= set(bundles())
        assert min(load_rgb(example.data).size) >= 128


def test_each_bundled_task_is_sure_of_the_examples_that_bring_it(embedded_home: Path) -> None:
    service = Service(Settings(home=embedded_home))
    try:
        add_bundled(service.registry, service.base_for, service.settings, lambda _fraction, _text: None)
        for example in examples():
            for task in example.tasks:
                answer = service.predictor.ranked(load_rgb(example.data), task)
                assert not (answer.unsure or answer.unlike), (example.caption, task)
    finally:
        service.close()


def test_each_photograph_is_noted_with_its_author_source_and_license() -> None:
    noted = re.findall(
        r"^\| `(\w+)\.webp` \| [^|]+ \| https://[^|]+ \| (?:CC0 1\.0|public domain) \|$",
        (PHOTOGRAPHS / "README.md").read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    assert sorted(noted) == sorted(path.stem for path in PHOTOGRAPHS.glob("*.webp"))


def test_the_photographs_are_small_enough_for_a_first_opening() -> None:
    photographs = [path.read_bytes() for path in PHOTOGRAPHS.glob("*.webp")]
    assert len(photographs) >= 4
    assert max(map(len, photographs)) < 50_000
    assert len(examples()[0].data) < 12_000
    assert len(examples_html()) < 16_000
    sizes = [Image.open(BytesIO(data)).size for data in photographs]
    assert all(width <= 512 and width * 3 == height * 4 for width, height in sizes)


def test_a_chosen_example_opens_with_those_of_its_tasks_that_are_ready(
    running_app: RunningApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, example = running_app.seen, replace(examples()[0], tasks=("colours", "no-such-task"))
    opening = opening_of(seen, example)
    assert opening.tasks == ["colours"]
    assert not opening.is_offer
    assert opening.picture is not None
    assert uploaded_image(seen, opening.picture).size == load_rgb(example.data).size
    assert opening_of(seen, replace(example, tasks=("no-such-task",))).tasks is None


def test_a_page_is_offered_the_first_example_that_fits_its_tasks(
    running_app: RunningApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    dog, stars = examples()[0], examples()[-1]
    shown = (replace(dog, tasks=("no-such-task",)), replace(stars, tasks=("colours",)))
    monkeypatch.setattr(module, "examples", lambda: shown)
    opening = first_opening(running_app.seen, [])
    assert opening.is_offer
    assert opening.tasks == ["colours"]
    assert opening.picture is not None
    assert opening.picture["orig_name"] == f"{stars.caption}.webp"
    linked = first_opening(running_app.seen, ["colours@1"])
    assert linked.tasks is None
    assert linked.picture == opening.picture
    assert first_opening(running_app.seen, ["gone"]).picture is None


def test_a_catalog_without_the_tasks_of_the_examples_is_offered_none(running_app: RunningApp) -> None:
    assert first_opening(running_app.seen, []).picture is None


def test_a_task_that_needs_another_base_does_not_open_with_an_example(
    running_app: RunningApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = TaskInfo("colours@1", "colours", "Colours", 1, ("a",), "other", "on demand", None)
    predictor = type(running_app.seen.predictor)
    monkeypatch.setattr(predictor, "offered", lambda *_first, **_options: [away])
    assert opening_of(running_app.seen, replace(examples()[0], tasks=("colours",))).tasks is None


def test_the_file_of_an_example_is_written_once_and_kept_from_being_deleted_as_old(
    running_app: RunningApp,
) -> None:
    def opened() -> Path:
        picture = opening_of(running_app.seen, examples()[0]).picture
        assert picture is not None
        return Path(str(picture["path"]))

    path = opened()
    written = path.read_bytes()
    os.utime(path, (1, 1))
    assert opened() == path
    assert path.stat().st_mtime > 1
    assert path.read_bytes() == written == examples()[0].data
