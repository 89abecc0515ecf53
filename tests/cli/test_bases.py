"""``bases``: what can be trained on, and bases that a team stores for itself."""

from __future__ import annotations

import functools
import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from loravit_web.backbones import Base, BaseUnavailable
from loravit_web.catalog import hub_presence
from loravit_web.cli.main import main
from loravit_web.service import Service
from loravit_web.worker.worker import Worker
from registry import Registry
from tests.backbones.test_weights_file import TINY, base_of, random_model
from tests.cli.conftest import TRAIN, Json, Text
from tests.conftest import make_colours

ROOT = Path(__file__).resolve().parents[2]
HUB_NAME = "vit_small_patch14_dinov2.lvd142m"
UNREACHABLE = "The Hub cannot be reached."


@pytest.fixture(autouse=True)
def hub(monkeypatch: pytest.MonkeyPatch) -> None:
    """No request leaves the tests, and nothing is in the local cache of the Hub."""
    monkeypatch.setattr(hub_presence, "hub_problem", lambda: UNREACHABLE)
    monkeypatch.setattr("loravit_web.cli.bases.is_cached", lambda _name: False)


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    save_file(random_model().state_dict(), tmp_path / "vit.safetensors")
    return tmp_path / "vit.safetensors"


@pytest.fixture
def stored(weights: Path, tmp_path: Path, run_json: Json) -> dict[str, Any]:
    (tmp_path / "README.md").write_text("# Team ViT\n")
    options = ["--architecture", TINY, "--license", "MIT", "--card", str(tmp_path / "README.md")]
    document: dict[str, Any] = run_json("bases", "add", "team-vit", "--file", str(weights), *options)
    return document


def without_hub(patch: pytest.MonkeyPatch) -> None:
    """No base can be loaded but from the store."""

    def load(name: str, _folder: Path, _progress: object) -> Base:
        raise BaseUnavailable(f"{name} is not here.")

    patch.setattr("loravit_web.service.Service", functools.partial(Service, load=load))
    patch.setattr("loravit_web.worker.worker.Worker", functools.partial(Worker, load=load))


def test_a_stored_base_is_listed_and_shown(stored: dict[str, Any], run_json: Json, text: Text) -> None:
    assert (stored["name"], stored["architecture"], stored["license"]) == ("team-vit", TINY, "MIT")
    assert (stored["parameters"], stored["patch_size"], stored["mean"]) == (306_240, 16, [0.5, 0.5, 0.5])
    embedded, listed, *_ = run_json("bases", "list")
    assert (embedded["name"], embedded["where"]) == ("embedded", "this app")
    assert (listed["name"], listed["where"], listed["at_hand"]) == ("team-vit", "store", True)
    document = run_json("bases", "show", "team-vit")
    file = Path(document.pop("file"))
    assert hashlib.sha256(file.read_bytes()).hexdigest() == stored["file_sha256"]
    assert document == {**stored, "card": "# Team ViT\n"}
    shown = text("bases", "show", "team-vit")
    assert "license: MIT" in shown
    assert shown.endswith("\n\n# Team ViT\n")


def test_a_base_that_is_not_stored_is_shown_as_it_is_listed(run_json: Json, text: Text) -> None:
    for base in run_json("bases", "list"):
        assert run_json("bases", "show", base["name"]) == base
    assert "license: Apache-2.0" in text("bases", "show", HUB_NAME)


def test_an_unreachable_hub_is_noted_once(run_json: Json, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bases", "list"]) == 0
    printed = capsys.readouterr()
    assert f"note: {UNREACHABLE} Only the bases at hand can be used." in printed.err
    assert printed.err.count("Hub") == 1
    assert HUB_NAME in printed.out
    assert next(base["name"] for base in run_json("bases", "list") if base["where"] == "hub") == HUB_NAME


@pytest.mark.parametrize("asked", ["--base", "LORAVIT_BASE"])
def test_a_training_takes_its_base_from_the_store(
    stored: dict[str, Any],
    asked: str,
    tmp_path: Path,
    run_json: Json,
    registry: Registry,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    without_hub(monkeypatch)
    data, words = str(make_colours(tmp_path / "colours")), ["--base", "team-vit"]
    if asked == "LORAVIT_BASE":
        monkeypatch.setenv("LORAVIT_BASE", "team-vit")
        words = []
    trained = run_json("train", data, "--name", "colours", *TRAIN, *words)
    version = registry.catalog.resolve(trained["adapter"])
    assert (version.base.name, version.base.weights_sha256) == ("team-vit", stored["weights_sha256"])
    image = next(Path(data).rglob("*.png"))
    monkeypatch.setenv("LORAVIT_BASE", "team-vit")
    (answer,) = run_json("predict", str(image), "--task", "colours")[0]["results"]
    assert answer["labels"]


def test_a_base_of_the_hub_is_stored_under_its_own_name_and_needed_from_there_no_more(
    run_json: Json, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(name: str, _folder: Path, _progress: object) -> Base:
        assert name == HUB_NAME
        return base_of(dict(random_model().state_dict()))

    monkeypatch.setattr("loravit_web.service.Service", functools.partial(Service, load=load))
    stored = run_json("bases", "add", "--from-hub", HUB_NAME)
    assert (stored["name"], stored["license"]) == (HUB_NAME, "apache-2.0")
    assert f"https://huggingface.co/timm/{HUB_NAME}" in run_json("bases", "show", HUB_NAME)["card"]
    other = run_json("bases", "add", "ours", "--from-hub", HUB_NAME, "--license", "Apache-2.0")
    assert (other["name"], other["license"]) == ("ours", "Apache-2.0")
    assert other["file_sha256"] == stored["file_sha256"]


def test_what_cannot_be_a_base_is_refused_in_one_sentence(
    weights: Path, stored: dict[str, Any], tmp_path: Path, refusal: Text
) -> None:
    def add(file: Path, architecture: str = TINY, name: str = "other", *words: str) -> str:
        return refusal("bases", "add", name, "--file", str(file), "--architecture", architecture, *words)

    pickled, damaged = tmp_path / "vit.bin", tmp_path / "damaged.safetensors"
    torch.save({}, pickled)
    damaged.write_bytes(weights.read_bytes()[:-1])
    resnet = tmp_path / "resnet.safetensors"
    save_file(random_model("test_resnet").state_dict(), resnet)
    assert "missing cannot be read (No such file" in add(tmp_path / "missing")
    assert "vit.bin is a pickle" in add(pickled)
    assert "damaged.safetensors is damaged" in add(damaged)
    assert "do not belong to test_vit2" in add(weights, "test_vit2")
    assert "test_resnet is not a plain timm Vision Transformer" in add(resnet, "test_resnet")
    assert "timm has no architecture named vit" in add(weights, "vit")
    assert "means the embedded base" in add(weights, TINY, "embedded")
    assert "Choose another name" in add(weights, TINY, "a/b")
    assert "another base 'team-vit'" in add(weights, TINY, "team-vit", "--mean", "0.1", "0.1", "0.1")
    assert "The card" in add(weights, TINY, "other", "--card", str(tmp_path / "missing.md"))
    assert "The card" in add(weights, TINY, "other", "--card", str(pickled))
    assert "no base 'other'" in refusal("bases", "show", "other")


@pytest.mark.parametrize(
    "words",
    [
        ["name"],
        ["--file", "x"],
        ["name", "--file", "x"],
        ["--from-hub", "x", "--file", "x"],
        ["--from-hub", "x", "--mean", "0.5", "0.5", "0.5"],
    ],
)
def test_words_that_do_not_belong_together_are_refused(words: list[str]) -> None:
    assert main(["bases", "add", *words]) == 2


def test_listing_and_showing_load_no_torch(stored: dict[str, Any], home: Path) -> None:
    code = (
        "import sys; from loravit_web.cli.main import main\n"
        "assert main(['bases', 'list']) == main(['bases', 'show', 'team-vit']) == 0\n"
        "assert not {'torch', 'timm', 'numpy', 'gradio'} & set(sys.modules)"
    )
    environment = {**os.environ, "LORAVIT_HOME": str(home), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
