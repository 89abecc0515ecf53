"""The layout of the Grocery Store dataset: classes at unequal depth, some elsewhere in the test split."""

from __future__ import annotations

import pytest

from loravit_web.datasets.errors import AmbiguousLayout
from loravit_web.datasets.layout.interpretation import interpret
from loravit_web.datasets.layout.plan import INNERMOST, Plan

FRUIT = {
    "Apple": ["Golden-Delicious", "Granny-Smith", "Pink-Lady", "Red-Delicious", "Royal-Gala"],
    "Melon": ["Cantaloupe", "Galia-Melon", "Honeydew-Melon", "Watermelon"],
    "Pear": ["Anjou", "Conference", "Kaiser"],
    **dict.fromkeys(["Avocado", "Banana", "Kiwi", "Lemon", "Lime", "Mango", "Nectarine", "Orange", "Papaya"]),
}
PACKAGES = {
    "Juice": ["Bravo-Apple-Juice", "Bravo-Orange-Juice", "God-Morgon-Apple-Juice", "Tropicana-Juice-Smooth"],
    "Milk": ["Arla-Medium-Fat-Milk", "Arla-Standard-Milk", "Garant-Ecological-Medium-Fat-Milk"],
    "Yoghurt": ["Alpro-Blueberry-Soyghurt", "Arla-Mild-Vanilla-Yoghurt", "Valio-Vanilla-Yoghurt"],
}
VEGETABLES = {
    "Potato": ["Floury-Potato", "Solid-Potato", "Sweet-Potato"],
    "Tomato": ["Beef-Tomato", "Regular-Tomato", "Vine-Tomato"],
    **dict.fromkeys(["Asparagus", "Aubergine", "Cabbage", "Carrots", "Cucumber", "Garlic", "Ginger", "Leek"]),
}
GROUPS = {"Fruit": FRUIT, "Packages": PACKAGES, "Vegetables": VEGETABLES}
MOVED = {"test/Fruit/Avocado": "test/Vegetables/Avocado"}
"""Classes whose folder lies elsewhere in the test split."""


def class_folders() -> dict[str, str]:
    """The path of each fine class below a split, by its name."""
    found = {}
    for group, families in GROUPS.items():
        for family, kinds in families.items():
            found |= (
                {kind: f"{group}/{family}/{kind}" for kind in kinds}
                if kinds
                else {family: f"{group}/{family}"}
            )
    return found


def grocery_store(top: str = "") -> list[str]:
    """All files of the repository's data folder: splits, iconic images, descriptions and lists."""
    files = ["classes.csv", "train.txt", "val.txt", "test.txt"]
    for split, count in (("train", 5), ("val", 2), ("test", 3)):
        for name, place in class_folders().items():
            folder = MOVED.get(f"{split}/{place}", f"{split}/{place}")
            files += [f"{folder}/{name}_{number:03}.jpg" for number in range(1, count + 1)]
    for name, place in class_folders().items():
        folder = f"iconic-images-and-descriptions/{place}"
        files += [f"{folder}/{name}_Iconic.jpg", f"{folder}/{name}_Description.txt"]
    return sorted(f"{top}{file}" for file in files)


def splits_are_kept(plan: Plan) -> bool:
    """Whether every image is in the split of its folder, and no other image is trained on."""
    names = {"train": "train", "val": "val", "test": "test"}
    return all(
        names.get(place.path.split("dataset/")[-1].split("/")[0]) == place.split for place in plan.placements
    )


@pytest.mark.parametrize("top", ["", "GroceryStoreDataset/dataset/"])
def test_the_whole_layout_is_understood_or_asked_about(top: str) -> None:
    paths = grocery_store(top)
    try:
        plan = interpret(paths)
    except AmbiguousLayout as question:
        assert len(question.levels) > 1
        return
    classes = {name for place in plan.placements for name in place.class_names}
    assert classes in (set(class_folders()), set(GROUPS))
    assert splits_are_kept(plan)
    assert not any("conic" in place.path for place in plan.placements)


@pytest.mark.parametrize("top", ["", "GroceryStoreDataset/dataset/"])
def test_the_innermost_folders_are_the_fine_classes_in_their_splits(top: str) -> None:
    plan = interpret(grocery_store(top), classes_at=INNERMOST)
    assert {name for place in plan.placements for name in place.class_names} == set(class_folders())
    assert splits_are_kept(plan)
    avocados = {place.path for place in plan.placements if place.class_names == ("Avocado",)}
    assert {path.split("/")[-3] for path in avocados} == {"Fruit", "Vegetables"}
