"""The facade: train, save, load and ask in a few lines, as the README promises."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import nn

from loravit_web import ViTAdapterConfig, ViTFeatureExtractor
from loravit_web.adapters import AdapterConfigError
from loravit_web.adapters.files.bundle import read_bundle_file
from loravit_web.adapters.files.folder import write_folder
from loravit_web.adapters.files.format import AdapterFormatError, from_files, to_files
from loravit_web.backbones.base import UnsupportedBase
from loravit_web.backbones.timm_import import import_timm
from loravit_web.engine import UnknownTask
from loravit_web.engine.multilora import MixedInput
from loravit_web.extractor import NoActiveAdapter, _name_of
from loravit_web.images.loading import ImageError
from tests.adapters.makers import random_adapter, random_images
from tests.conftest import ColourFolders, tiny_base

CONFIG = ViTAdapterConfig(adapter_type="LORA", r=2, alpha=4, blocks=2, dropout=0.1)
BIRDS, FLOWERS = (
    random_adapter(tiny_base(), ViTAdapterConfig(r=2, blocks=k), seed=k, classes=tuple("abcde"[: k + 1]))
    for k in (1, 2)
)


def own_backbone() -> nn.Module:
    """The tiny base as somebody's own timm model, with a head and in training mode."""
    model = import_timm().create_model(
        "vit_tiny_patch16_224", img_size=32, patch_size=8, embed_dim=32, depth=3, num_heads=2, num_classes=7
    )
    model.load_state_dict(tiny_base().model.state_dict(), strict=False)
    return model.train()


@pytest.fixture
def vit(tmp_path: Path) -> ViTFeatureExtractor:
    return ViTFeatureExtractor(
        CONFIG, backbone=own_backbone(), image_size=32, home=tmp_path / "home", dtype=torch.float32
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two adapters of one base, and a folder that is none."""
    root = tmp_path / "adapters"
    for name, adapter in (("birds", BIRDS), ("flowers", FLOWERS)):
        write_folder(to_files(adapter, tiny_base(), name=name, title=name.title()), root / name)
    (root / "notes").mkdir()
    return root


def test_what_is_trained_can_be_saved_loaded_and_asked(
    vit: ViTFeatureExtractor, colour_folders: ColourFolders, tmp_path: Path
) -> None:
    metrics = vit.train(colour_folders(test=4), name="colours", epochs=4, lr=5e-3, batch_size=6)
    assert set(metrics) == {"val_accuracy", "val_loss", "linear_probe_accuracy", "test_accuracy"}
    assert metrics["test_accuracy"] > 0.9
    vit.save_adapters(tmp_path / "saved" / "colours")
    again = ViTFeatureExtractor(
        backbone=own_backbone(), image_size=32, home=tmp_path / "home", dtype=torch.float32
    )
    assert again.load_all_adapters(tmp_path / "saved") == ["colours"]
    again.set_active_adapter("colours")
    images = random_images(3)
    torch.testing.assert_close(again.infer(images), vit.infer(images), rtol=1e-5, atol=1e-5)
    assert again.class_names() == ("green", "red")


def test_the_zip_of_a_saved_folder_is_a_bundle(vit: ViTFeatureExtractor, tmp_path: Path) -> None:
    vit.add_adapter("birds", BIRDS)
    vit.save_adapters(tmp_path / "birds", name="birds")
    bundle = read_bundle_file(Path(shutil.make_archive(str(tmp_path / "birds"), "zip", tmp_path / "birds")))
    assert (bundle.name, bundle.title) == ("birds", "birds")
    assert from_files(bundle.files, vit.base).class_names == BIRDS.class_names


@pytest.mark.parametrize("name", ["my_flowers", "My flowers", "flowers.v2"])
def test_a_saved_folder_of_any_name_is_read_back_as_it_is_and_zipped_from_outside(
    vit: ViTFeatureExtractor, tmp_path: Path, name: str
) -> None:
    vit.add_adapter("birds", BIRDS)
    vit.save_adapters(tmp_path / name, name="birds")
    archive = Path(shutil.make_archive(str(tmp_path / "again"), "zip", tmp_path, name))
    for source in (tmp_path / name, archive):
        bundle = read_bundle_file(source)
        assert bundle.name == name
        assert from_files(bundle.files, vit.base).class_names == BIRDS.class_names
    assert vit.load_all_adapters(tmp_path) == [name]


def test_adapters_whose_names_differ_after_a_dot_are_kept_apart(
    vit: ViTFeatureExtractor, tmp_path: Path
) -> None:
    for name, adapter in (("flowers.v1", BIRDS), ("flowers.v2", FLOWERS)):
        vit.add_adapter(name, adapter)
        vit.save_adapters(tmp_path / name, name=name)
    assert vit.load_all_adapters(tmp_path) == ["flowers.v1", "flowers.v2"] == vit.adapters
    assert [len(vit.class_names(name)) for name in vit.adapters] == [2, 3]


def test_the_three_ways_to_ask_agree(vit: ViTFeatureExtractor, folder: Path) -> None:
    assert vit.load_all_adapters(folder) == ["birds", "flowers"] == vit.adapters
    images = random_images(3)
    both = vit.infer(images, adapters=["flowers", "birds"])
    assert {name: logits.shape for name, logits in both.items()} == {"flowers": (3, 3), "birds": (3, 2)}
    for name, logits in both.items():
        vit.set_active_adapter(name)
        torch.testing.assert_close(vit.infer(images), logits, rtol=1e-5, atol=1e-5)
    mixed = vit.infer(images, adapters_per_image=["birds", "flowers", "birds"])
    expected = [both["birds"][0], both["flowers"][1], both["birds"][2]]
    for found, wanted in zip(mixed, expected, strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)


def test_images_and_paths_go_through_each_adapters_own_preprocessing(
    vit: ViTFeatureExtractor, tmp_path: Path
) -> None:
    large = random_adapter(tiny_base(), CONFIG, image_size=48)
    vit.add_adapter("birds", BIRDS)
    vit.add_adapter("large", large)
    image = Image.effect_mandelbrot((60, 40), (-2, -1.5, 1, 1.5), 50).convert("RGB")
    image.save(tmp_path / "image.png")
    found = vit.infer([image, tmp_path / "image.png"], adapters=["birds", "large"])
    for name, adapter in (("birds", BIRDS), ("large", large)):
        expected = vit.infer(adapter.preprocessing([image]), adapters=[name])[name][0]
        for row in found[name]:
            torch.testing.assert_close(row, expected, rtol=1e-5, atol=1e-5)
    assert vit.infer([], adapters=["birds"])["birds"].shape == (0, 2)


def test_a_backbone_of_ones_own_is_left_as_it_was(tmp_path: Path) -> None:
    backbone = own_backbone()
    before = {name: tensor.clone() for name, tensor in backbone.state_dict().items()}
    vit = ViTFeatureExtractor(CONFIG, backbone=backbone, image_size=32, home=tmp_path)
    vit.add_adapter("birds", BIRDS)
    vit.infer(random_images(1), adapters=["birds"])
    assert backbone.training
    assert all(p.requires_grad for p in backbone.parameters())
    assert all(torch.equal(t, before[name]) for name, t in backbone.state_dict().items())


def test_one_unusable_folder_is_named_and_the_others_are_loaded(
    vit: ViTFeatureExtractor, folder: Path
) -> None:
    (folder / "flowers" / "adapter_model.safetensors").write_bytes(b"nonsense")
    with pytest.warns(UserWarning, match=r"The adapter in .*flowers cannot be used"):
        assert vit.load_all_adapters(folder) == ["birds"]
    assert vit.adapters == ["birds"]
    (folder / "birds" / "adapter_model.safetensors").write_bytes(b"nonsense")
    with pytest.raises(AdapterFormatError, match=r"The adapter in .*birds cannot be used"):
        vit.load_all_adapters(folder)


@pytest.mark.parametrize(
    ("data", "name"),
    [
        ("flowers.v1", "flowers.v1"),
        ("data/flowers.v2", "flowers.v2"),
        ("flowers.v2.zip", "flowers.v2"),
        ("labels.CSV", "labels"),
        ("sample:digits", "digits"),
    ],
)
def test_an_adapter_is_named_after_its_data_without_the_suffix_of_a_file(data: str, name: str) -> None:
    assert _name_of(data) == name


def test_what_can_not_be_asked_is_refused_in_one_sentence(vit: ViTFeatureExtractor, tmp_path: Path) -> None:
    images = random_images(2)
    with pytest.raises(NoActiveAdapter, match="Train one, or choose one"):
        vit.infer(images)
    with pytest.raises(NoActiveAdapter):
        vit.save_adapters(tmp_path / "none")
    with pytest.raises(UnknownTask, match="birds"):
        vit.set_active_adapter("birds")
    with pytest.raises(UnknownTask, match="birds"):
        vit.infer(images, adapters=["birds"])
    vit.add_adapter("birds", BIRDS)
    with pytest.raises(NoActiveAdapter, match="adapters_per_image has 1 names for 2 images"):
        vit.infer(images, adapters_per_image=["birds"])
    with pytest.raises(MixedInput, match="32 px, but these have 48 px"):
        vit.infer(random_images(1, side=48), adapters=["birds"])
    (tmp_path / "no.png").write_text("no image")
    with pytest.raises(ImageError):
        vit.infer([tmp_path / "no.png"], adapters=["birds"])
    with pytest.raises(AdapterFormatError, match="no folder"):
        vit.load_all_adapters(tmp_path / "nowhere")
    with pytest.raises(AdapterFormatError, match="no folder with an adapter_config"):
        vit.load_all_adapters(tmp_path)


def test_a_configuration_or_a_backbone_that_can_not_work_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedBase):
        ViTFeatureExtractor(backbone=nn.Linear(2, 2), home=tmp_path)
    with pytest.raises(AdapterConfigError, match="so 9 cannot be adapted"):
        ViTFeatureExtractor(ViTAdapterConfig(blocks=9), backbone=own_backbone(), image_size=32, home=tmp_path)


def test_the_package_offers_its_facade_without_loading_torch_before_it_is_asked_for() -> None:
    code = "import sys, loravit_web; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).resolve().parents[1])
    assert __import__("loravit_web").ViTFeatureExtractor is ViTFeatureExtractor
    with pytest.raises(AttributeError, match="has no attribute Nothing"):
        _ = __import__("loravit_web").Nothing
