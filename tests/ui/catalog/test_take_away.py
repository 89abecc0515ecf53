"""A version is exported from its card as a zip, which is written once."""

from __future__ import annotations

import importlib.util
import os
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from loravit_web.access.rights import NotAllowed, guest
from loravit_web.runtime import ExportedModel
from loravit_web.ui.catalog import take_away
from loravit_web.ui.catalog.take_away import export_file
from loravit_web.visibility import Seen
from tests.ui.catalog.catalog_page import CatalogPage, publish
from tests.ui.conftest import RunningApp


@pytest.fixture(autouse=True)
def _onnxruntime() -> None:
    if importlib.util.find_spec("onnxruntime") is None:
        if os.environ.get("CI"):
            pytest.fail("onnxruntime is not installed: pip install -r requirements-dev.txt")
        pytest.skip('onnxruntime is not installed: pip install "loravit-web[onnx]"')


def _offers_others(catalog: CatalogPage, field: Any, form: str) -> bool:
    """Choose a format, and return whether other tasks can be added."""
    (listener,) = [one for one in catalog.demo.fns.values() if (field._id, "input") in one.targets]
    assert listener.fn is not None
    return bool(listener.fn(form)._constructor_args[0]["visible"])


def test_a_version_is_exported_as_a_zip_that_answers(running_app: RunningApp, tmp_path: Path) -> None:
    path = export_file(running_app.seen, ["colours@1"], "onnx", "fp16")
    assert path.name == "colours-v1-onnx.zip"
    with zipfile.ZipFile(path) as archive:
        archive.extractall(tmp_path)
    image = next((running_app.images / "test" / "red").iterdir())
    (answer,) = ExportedModel(tmp_path / "colours-v1-onnx").classify(image)
    assert (answer.task, answer.labels[0].label) == ("colours@1", "red")
    written = path.stat().st_mtime_ns
    assert export_file(running_app.seen, ["colours@1"], "onnx", "fp16").stat().st_mtime_ns == written
    assert export_file(running_app.seen, ["colours@1"], "onnx", "fp32") != path


def test_the_export_offers_the_other_tasks_on_the_same_base(catalog: CatalogPage) -> None:
    for slug in ("flowers", "birds"):
        publish(catalog.service, slug)
    publish(catalog.service, "tiles", base="other", weights_sha256="0" * 64)
    catalog.open("flowers")
    others = catalog.view.card.export.others
    assert catalog.shown[others]["choices"] == [("Birds", "birds@1")]
    assert catalog.fields[others] == []


def test_the_export_tells_how_to_add_a_task_that_is_not_listed(
    catalog: CatalogPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(take_away, "_OFFERED", 2)
    others = catalog.view.card.export.others
    assert others.allow_custom_value
    for slug in ("flowers", "birds"):
        publish(catalog.service, slug)
    catalog.open("flowers")
    assert "listed" not in catalog.shown[others]["info"]
    publish(catalog.service, "stones")
    catalog.open("birds")
    assert "The first 2 of 3 are listed." in catalog.shown[others]["info"]


def test_the_layout_of_one_task_hides_the_other_tasks(catalog: CatalogPage) -> None:
    card = catalog.view.card.export
    assert not _offers_others(catalog, card.form, "onnx-merged")
    assert _offers_others(catalog, card.form, "web")


def test_several_tasks_are_exported_as_one_zip(catalog: CatalogPage, monkeypatch: pytest.MonkeyPatch) -> None:
    refs = [publish(catalog.service, slug).ref for slug in ("flowers", "birds")]
    exported: list[list[str]] = []

    def export_zip(_seen: Seen, refs: list[str], file: Path, *_options: str) -> None:
        exported.append(refs)
        file.write_bytes(b"zip")

    monkeypatch.setattr(Seen, "export_zip", export_zip)
    together = export_file(catalog.seen, refs, "web", "fp16")
    assert together.name == "flowers-v1-and-1-more-web.zip"
    assert export_file(catalog.seen, refs[:1], "web", "fp16") != together
    assert export_file(catalog.seen, refs, "web", "fp16") == together
    assert exported == [refs, refs[:1]]
    # typed names mean versions, and each version is exported once
    assert export_file(catalog.seen, [refs[0], " flowers ", "birds"], "web", "fp16") == together


def test_visitors_of_a_demo_cannot_export(running_app: RunningApp) -> None:
    seen = replace(running_app.seen, visitor=guest("guest-1", training=False))
    with pytest.raises(NotAllowed, match="cannot export"):
        export_file(seen, ["colours@1"], "onnx", "int8")
