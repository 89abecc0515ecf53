"""``adapters``: versions as files, and on the Hugging Face Hub."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import HfApi, constants

from loravit_web.catalog import hub
from tests.cli.conftest import Json, Text
from tests.hub_server import TOKEN, FakeHub


def test_an_exported_version_is_imported_elsewhere(
    trained: dict[str, Any], tmp_path: Path, run_json: Json, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = tmp_path / "colours.zip"
    exported = run_json("adapters", "export", "colours@1", str(bundle))
    assert exported == {"adapter": "colours@1", "file": str(bundle), "bytes": bundle.stat().st_size}
    monkeypatch.setenv("LORAVIT_HOME", str(tmp_path / "other"))
    assert run_json("adapters", "import", str(bundle)) == {"adapter": "colours@1"}
    (row,) = run_json("adapters", "list")
    assert (row["slug"], row["version"], row["classes"]) == ("colours", 1, 2)
    shown = run_json("adapters", "show", "colours")
    assert shown["versions"][0]["class_names"] == ["green", "red"]


def test_push_and_pull_use_the_hub(
    trained: dict[str, Any],
    tmp_path: Path,
    run_json: Json,
    refusal: Text,
    monkeypatch: pytest.MonkeyPatch,
    fake_hub: FakeHub,
) -> None:
    monkeypatch.setattr(hub, "HfApi", functools.partial(HfApi, endpoint=fake_hub.url))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
    assert refusal("adapters", "push", "colours", "me/colours").startswith("Pushing needs a token")
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    pushed = run_json("adapters", "push", "colours", "me/colours", "--revision", "first", "--private")
    assert (pushed["adapter"], pushed["repo"]) == ("colours@1", "me/colours")
    assert fake_hub.repositories["me/colours"].private
    monkeypatch.setenv("LORAVIT_HOME", str(tmp_path / "other"))
    pulled = run_json("adapters", "pull", "me/colours@first", "--name", "shades")
    assert pulled == {"adapter": "shades@1"}
    assert run_json("adapters", "pull", f"me/colours@{pushed['commit']}") == {"adapter": "colours@1"}
    shown = run_json("adapters", "show", "shades")["versions"][0]
    assert "thumbnail.webp" in shown["files"]
    assert refusal("adapters", "pull", "me/nothing").startswith("The Hub shows no repository me/nothing")


def test_an_unwritable_export_leaves_nothing_behind(
    trained: dict[str, Any], tmp_path: Path, refusal: Text
) -> None:
    file = tmp_path / "missing" / "x.zip"
    assert f"{file} cannot be written" in refusal("adapters", "export", "colours", str(file))
    assert not file.parent.exists()


def test_a_missing_file_cannot_be_imported(refusal: Text) -> None:
    assert "missing.zip" in refusal("adapters", "import", "missing.zip")
