"""Masks and other files that are derived from an image, beside it."""

from __future__ import annotations

import pytest

from loravit_web.datasets.layout.files import skip_reason
from loravit_web.datasets.layout.interpretation import interpret
from tests.datasets.layout.test_layouts import BOTH, PETS, counts, masked


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("{folder}/images/{number}.png", "{folder}/lung masks/{number}.png"),
        ("Train/{folder}/images/{number}.png", "Train/{folder}/infection masks/{number}.png"),
        ("{folder}/Bilder/{number}.png", "{folder}/Masken/{number}.png"),
        ("{folder}/imágenes/{number}.png", "{folder}/máscaras/{number}.png"),
        ("{folder}/изображения/{number}.png", "{folder}/маски/{number}.png"),
        ("{folder}/图片/{number}.png", "{folder}/掩码/{number}.png"),
        ("{folder}/images/{number}.png", "{folder}/heatmaps/{number}.png"),
        ("{folder}/rgb/{number}.png", "{folder}/depth/{number}.png"),
        ("{folder}/{number}_rgb.png", "{folder}/{number}_depth.png"),
        ("{folder}/{number}.jpg", "{folder}/{number}_superpixels.png"),
        ("{folder}/{number}.png", "{folder}/{number}_binary_mask.png"),
        ("{folder}/img_{number}.png", "{folder}/img_{number}_lesion_segmentation.png"),
        ("{folder}/{number}.png", "{folder}/{number}_маска.png"),
    ],
)
def test_masks_of_any_name_beside_their_images_are_left_out(image: str, mask: str) -> None:
    images, masks = masked(PETS, image), masked(PETS, mask)
    plan = interpret([*images, *masks])
    assert sorted(place.path for place in plan.placements) == sorted(images)
    assert counts(plan) == {"train": BOTH}
    assert "8 files that look like masks" in plan.effects[0]


@pytest.mark.parametrize(
    "form",
    ["{folder}/depth_{number}.png", "{folder}/{number}_edges.png", "{folder}/skeleton/{number}.png"],
)
def test_images_without_another_one_beside_them_are_no_masks(form: str) -> None:
    plan = interpret(masked(PETS, form))
    assert counts(plan) == {"train": BOTH}
    assert plan.skipped == ()


@pytest.mark.parametrize("suffix", [".nef", ".DNG", ".cr2", ".arw"])
def test_a_camera_raw_is_no_image_although_it_is_a_tiff(suffix: str) -> None:
    assert (
        skip_reason(f"cat/1{suffix}", "TIFF")
        == "it is a camera raw file, which is not supported. Save it as JPEG or PNG"
    )
    assert skip_reason("cat/1.scan", "TIFF") is None
