"""Many layouts of the same kinds: what each is taken for, or what the person is asked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pytest

from loravit_web.datasets.errors import AmbiguousLayout, LevelNotFound
from loravit_web.datasets.layout.interpretation import interpret
from loravit_web.datasets.layout.plan import INNERMOST, ClassLevel, Plan


def tree(*folders: str, images: int = 4, suffix: str = ".jpg") -> list[str]:
    """The same number of images, with other names, in each folder."""
    return [
        f"{folder}/{number}{at}{suffix}"
        for at, folder in enumerate(folders)
        for number in range(1, images + 1)
    ]


def product(*levels: Sequence[str]) -> list[str]:
    paths = [""]
    for names in levels:
        paths = [f"{path}/{name}".lstrip("/") for path in paths for name in names]
    return paths


def counts(plan: Plan) -> dict[str, set[str]]:
    """Classes by split."""
    found: dict[str, set[str]] = {}
    for place in plan.placements:
        found.setdefault(place.split, set()).add(place.class_name)
    return found


def read(*folders: str, classes_at: ClassLevel = None) -> dict[str, set[str]]:
    return counts(interpret(tree(*folders), classes_at=classes_at))


PETS = ("cat", "dog")
BOTH = set(PETS)


@pytest.mark.parametrize(
    ("train", "val", "test"),
    [
        ("Training", "Validation", "Testing"),
        ("TRAIN", "VAL", "TEST"),
        ("train_set", "valid_set", "test_set"),
        ("training_set", "validation_set", "test_set"),
        ("trainset", "valset", "testset"),
        ("train_images", "val_images", "test_images"),
        ("train-data", "dev-data", "test-data"),
        ("TrainData", "ValData", "TestData"),
        ("train2017", "val2017", "test2017"),
        ("Train Set", "Dev Set", "Hold-out"),
        ("trn", "vld_validation", "tst"),
        ("imagesTr", "imagesVa", "imagesTs"),
        ("01_train", "02_valid", "03_test"),
        ("Train (80%)", "Val (10%)", "Test (10%)"),
        ("seg_train", "seg_val", "seg_test"),
        ("pets_train", "pets_validation", "pets_eval"),
        ("entrenamiento", "validación", "prueba"),
        ("entraînement", "validation", "essai"),
        ("treino", "validação", "teste"),
        ("обучение", "валидация", "тест"),
        ("Trainingsdaten", "Validierung", "Testdaten"),
        ("训练集", "验证集", "测试集"),
        ("訓練", "検証", "テスト"),
    ],
)
@pytest.mark.parametrize("wrapper", ["", "archive/"])
def test_folders_named_for_splits_are_splits(train: str, val: str, test: str, wrapper: str) -> None:
    if val == "vld_validation":
        val = "vld"
        folders = product([wrapper + train, wrapper + test], PETS)
        assert read(*folders) == {"train": BOTH, "test": BOTH}
        return
    folders = product([wrapper + train, wrapper + val, wrapper + test], PETS)
    plan = interpret(tree(*folders))
    assert counts(plan) == {"train": BOTH, "val": BOTH, "test": BOTH}


@pytest.mark.parametrize("splits", [("train", "test"), ("Training", "Testing"), ("train", "val", "test")])
@pytest.mark.parametrize("wrapper", ["", "data/", "pets-main/data/"])
def test_a_split_below_every_class_is_a_split(splits: Sequence[str], wrapper: str) -> None:
    plan = interpret(tree(*product([wrapper + name for name in PETS], splits)))
    assert counts(plan)["train"] == counts(plan)["test"] == BOTH
    assert any("taken for splits" in note for note in plan.notes)


def test_the_names_of_splits_that_are_not_the_usual_ones_are_told() -> None:
    assert interpret(tree(*product(["Training", "Testing"], PETS))).notes == (
        "Folders were taken for splits: “Testing” as test and “Training” as training.",
    )
    assert interpret(tree(*product(["train", "test"], PETS))).notes == ()


@pytest.mark.parametrize(
    "classes",
    [
        ("valid", "invalid"),
        ("train", "car", "bus"),
        ("test", "control"),
        ("trains", "planes"),
        ("rain", "sun"),
        ("mask", "no_mask"),
        ("with_mask", "without_mask"),
        ("label", "no label"),
        ("masks", "gloves"),
        ("docs", "photos"),
        ("data", "noise"),
        ("1", "2", "3"),
        ("fold1", "fold2"),
        ("original", "augmented"),
        ("raw", "cooked"),
        ("images", "drawings"),
        ("unknown", "known"),
        ("2019", "2020"),
        ("paper", "rock", "scissors"),
    ],
)
@pytest.mark.parametrize("wrapper", ["", "things/"])
def test_folders_of_images_are_classes_whatever_their_names(classes: Sequence[str], wrapper: str) -> None:
    assert read(*(wrapper + name for name in classes)) == {"train": set(classes)}


def test_vehicles_stay_classes_when_each_has_one_or_several_folders() -> None:
    assert read(*product(["train", "car", "bus"], ["img"])) == {"train": {"train", "car", "bus"}}
    kinds = ["train/steam", "train/electric", "car/suv", "car/van", "bus/city", "bus/coach"]
    assert read(*kinds) == {"train": {"train", "car", "bus"}}


@pytest.mark.parametrize(
    "parts",
    [
        ("fold1", "fold2", "fold3"),
        ("fold_0", "fold_1"),
        ("Fold 1", "Fold 2"),
        ("cv1", "cv2"),
        ("part1", "part2"),
        ("batch_01", "batch_02"),
        ("session1", "session2"),
        ("subject01", "subject02"),
        ("set1", "set2"),
        ("2019", "2020"),
        ("2023-01-05", "2023-02-06"),
    ],
)
@pytest.mark.parametrize("wrapper", ["", "data/"])
def test_parts_that_each_hold_the_classes_are_merged(parts: Sequence[str], wrapper: str) -> None:
    plan = interpret(tree(*product([wrapper + part for part in parts], PETS)))
    assert counts(plan) == {"train": BOTH}
    assert "taken for parts of the same classes" in plan.notes[0]
    assert {level.at for level in plan.levels} == ({1, 2} if not wrapper else {2, 3})


@pytest.mark.parametrize(
    "variants",
    [
        ("original", "augmented"),
        ("color", "grayscale", "segmented"),
        ("40X", "100X", "200X", "400X"),
        ("224x224", "512x512"),
        ("Raw Images", "Augmented Images"),
        ("cropped", "uncropped"),
    ],
)
def test_variants_that_each_hold_the_classes_are_merged_and_told(variants: Sequence[str]) -> None:
    plan = interpret(tree(*product(variants, PETS)))
    assert counts(plan) == {"train": BOTH}
    assert "taken for variants of the same classes" in plan.notes[0]
    assert "inflates the measured accuracy" in plan.notes[1]


def test_parts_and_variants_below_a_class_belong_to_it() -> None:
    for below in (("fold1", "fold2"), ("original", "augmented"), ("patient 1", "patient 2"), ("images",)):
        assert read(*product(PETS, below)) == {"train": BOTH}


@pytest.mark.parametrize(
    ("upper", "lower"),
    [
        (("lamp A", "lamp B"), ("ok", "broken")),
        (("north", "south", "east"), ("ripe", "unripe")),
        (("cam_left", "cam_right"), ("ok", "nok", "unsure")),
        (("cat", "dog"), ("front", "side")),
        (("small", "large"), ("red", "blue")),
    ],
)
@pytest.mark.parametrize("split", ["", "train/", "data/"])
def test_folders_that_all_hold_the_same_folders_are_asked_about(
    upper: Sequence[str], lower: Sequence[str], split: str
) -> None:
    paths = tree(*product([split + name for name in upper], lower))
    with pytest.raises(
        AmbiguousLayout, match="Choose the level of the class folders.*--classes-at"
    ) as caught:
        interpret(paths)
    first, second = caught.value.levels
    assert (set(first.names), set(second.names)) == (set(upper), set(lower))
    assert counts(interpret(paths, classes_at=first.at)) == {"train": set(upper)}
    assert counts(interpret(paths, classes_at=second.at)) == {"train": set(lower)}


@pytest.mark.parametrize("split", ["", "train/", "data/raw/"])
def test_super_classes_stay_classes_and_the_finer_ones_can_be_chosen(split: str) -> None:
    folders = ["fruit/apple", "fruit/pear", "vegetable/leek", "vegetable/onion"]
    paths = tree(*(split + folder for folder in folders))
    plan = interpret(paths)
    assert counts(plan) == {"train": {"fruit", "vegetable"}}
    assert "The 4 folders inside them, such as “apple” and “leek”, are not used as classes" in plan.notes[0]
    assert counts(interpret(paths, classes_at=INNERMOST)) == {"train": {"apple", "pear", "leek", "onion"}}


def test_a_kind_of_one_class_does_not_make_the_others_a_question() -> None:
    plan = interpret(tree("cat", "dog/labrador", "dog/poodle", "hen/white"))
    assert counts(plan) == {"train": {"cat", "dog", "hen"}}
    assert plan.notes == ()


def test_classes_at_unequal_depth_and_at_other_places_in_the_test_split() -> None:
    folders = [
        "dataset/train/Fruit/Apple/Golden-Delicious",
        "dataset/train/Fruit/Apple/Pink-Lady",
        "dataset/train/Fruit/Banana",
        "dataset/train/Packages/Milk/Arla",
        "dataset/train/Packages/Juice/Bravo",
        "dataset/train/Vegetables/Carrots",
        "dataset/train/Vegetables/Onion/Yellow",
        "dataset/test/Fruit/Apple/Golden-Delicious",
        "dataset/test/Fruit/Banana",
        "dataset/test/Packages/Bravo",
        "dataset/val/Vegetables/Carrots",
    ]
    plan = interpret(tree(*folders))
    assert counts(plan)["train"] == {"Fruit", "Packages", "Vegetables"}
    assert plan.notes and plan.levels[-1].at == INNERMOST
    fine = counts(interpret(tree(*folders), classes_at=INNERMOST))
    assert fine["train"] == {"Golden-Delicious", "Pink-Lady", "Banana", "Arla", "Bravo", "Carrots", "Yellow"}
    assert fine["test"] == {"Golden-Delicious", "Banana", "Bravo"}
    assert fine["val"] == {"Carrots"}


def test_a_chosen_level_keeps_the_splits_and_leaves_out_what_is_beside_them() -> None:
    paths = tree(*product(["train", "test"], PETS), "iconic/cat")
    with pytest.raises(AmbiguousLayout, match="“iconic” is beside test/"):
        interpret(paths)
    plan = interpret(paths, classes_at=2)
    assert counts(plan) == {"train": BOTH, "test": BOTH}
    assert {entry.path.split("/")[0] for entry in plan.skipped} == {"iconic"}


def test_a_level_without_folders_is_refused_with_those_that_exist() -> None:
    with pytest.raises(LevelNotFound, match=r"at level 4\. Levels with several folders: 1 \(“cat”"):
        interpret(tree(*PETS), classes_at=4)


@pytest.mark.parametrize(
    ("data", "beside"),
    [
        ("shapes-main/data/{}", ["shapes-main/docs/images"]),
        ("shapes-master/dataset/{}", ["shapes-master/assets", "shapes-master/figures"]),
        ("shapes/shapes/{}", ["shapes/docs"]),
        ("repo-1.2.0/images/{}", ["repo-1.2.0/screenshots"]),
        ("repo-main/data/train/{}", ["repo-main/notebooks/out"]),
        ("train/{}", ["assets", "results/plots"]),
        ("repo-main/{}", ["repo-main/docs/img"]),
        ("repo-main/dataset/{}", ["repo-main/img"]),
        ("repo-main/flowers/{}", ["repo-main/images", "repo-main/assets"]),
    ],
)
def test_folders_of_a_repository_are_left_out_and_told(data: str, beside: list[str]) -> None:
    plan = interpret([*tree(*map(data.format, PETS)), *tree(*beside), f"{data.partition('/')[0]}/logo.png"])
    assert counts(plan) == {"train": BOTH}
    assert len(plan.effects) == len(beside)
    assert all("is left out" in effect for effect in plan.effects)


def test_a_folder_beside_the_data_without_a_telling_name_is_asked_about() -> None:
    with pytest.raises(AmbiguousLayout, match="“extra” is beside data/"):
        interpret(tree("data/cat", "data/dog", "extra"))


@pytest.mark.parametrize("unlabeled", ["seg_pred", "unlabeled", "predict", "unlabelled_images"])
def test_images_without_labels_beside_splits_are_left_out(unlabeled: str) -> None:
    plan = interpret(tree(*product(["seg_train", "seg_test"], PETS), unlabeled))
    assert counts(plan) == {"train": BOTH, "test": BOTH}
    assert f"“{unlabeled}” (4 images) is left out" in plan.effects[0]


def test_repeated_folders_of_an_unpacked_archive_are_one() -> None:
    folders = ["seg_train/seg_train/cat", "seg_train/seg_train/dog", "seg_test/cat", "seg_test/dog"]
    assert read(*folders) == {"train": BOTH, "test": BOTH}


def test_a_test_split_without_class_folders_is_left_out_and_its_effect_told() -> None:
    plan = interpret(tree("train/cat", "train/dog", "test"))
    assert counts(plan) == {"train": BOTH}
    assert plan.effects == (
        "There are no test images: 4 images of this split are not inside a class folder and are left out.",
    )


def masked(folders: Iterable[str], rename: str) -> list[str]:
    return [rename.format(folder=folder, number=number) for folder in folders for number in range(4)]


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("{folder}/images/{number}.png", "{folder}/masks/{number}.png"),
        ("{folder}/{number}.jpg", "{folder}/masks/{number}.png"),
        ("{folder}/{number}.jpg", "{folder}/{number}_mask.png"),
        ("{folder}/{number}.jpg", "{folder}/masks/{number}_part.png"),
        ("{folder}/{number}.jpg", "{folder}/thumbs/{number}.jpg"),
        ("{folder}/{number}.jpg", "{folder}/{number}_thumb.jpg"),
        ("{folder}/a ({number}).png", "{folder}/a ({number})_mask.png"),
        ("{folder}/a ({number}).png", "{folder}/a ({number})_mask_1.png"),
        ("{folder}/{number}.jpg", "{folder}/{number}_segmentation.png"),
        ("{folder}/img{number}.png", "{folder}/mask{number}.png"),
        ("images/{folder}/{number}.png", "masks/{folder}/{number}.png"),
        ("images/{folder}/{number}.png", "annotations/{folder}/{number}.png"),
        ("{folder}/{number}.png", "masks/{folder}/{number}.png"),
        ("train/{folder}/{number}.png", "train_masks/{folder}/{number}_mask.png"),
        ("{folder}/img/{number}.png", "{folder}/ground truth/{number}.png"),
        ("JPEGImages/{folder}/{number}.jpg", "SegmentationClass/{folder}/{number}.png"),
    ],
)
def test_masks_beside_their_images_are_left_out(image: str, mask: str) -> None:
    images, masks = masked(PETS, image), masked(PETS, mask)
    plan = interpret([*images, *masks])
    assert sorted(place.path for place in plan.placements) == sorted(images)
    assert counts(plan) == {"train": BOTH}
    assert (
        "8 files that look like masks, annotations or thumbnails of other images are left" in plan.effects[0]
    )


@pytest.mark.parametrize(
    "junk",
    [
        "cat/@eaDir/1.jpg/SYNOPHOTO_THUMB_M.jpg",
        "@eaDir/cat/1.jpg",
        "cat/.@__thumb/1.jpg",
        "#recycle/cat/1.jpg",
        "@Recycle/1.jpg",
        "$RECYCLE.BIN/S-1-5/1.jpg",
        "System Volume Information/1.jpg",
        "lost+found/1.jpg",
        "FOUND.000/1.jpg",
        ".Trash-1000/files/1.jpg",
        "__MACOSX/cat/._1.jpg",
        "cat/._1.jpg",
        "cat/ehthumbs.db",
        "#snapshot/daily/cat/1.jpg",
        "cat/SYNOPHOTO_THUMB_XL.jpg",
        "__pycache__/1.jpg",
    ],
)
@pytest.mark.parametrize("wrapper", ["", "train/"])
def test_files_of_systems_are_no_samples_and_no_classes(junk: str, wrapper: str) -> None:
    plan = interpret([*tree(*(wrapper + name for name in PETS)), wrapper + junk])
    assert counts(plan) == {"train": BOTH}
    assert [entry.path for entry in plan.skipped] == [wrapper + junk]
    assert plan.lost == ()


@pytest.mark.parametrize("wrapper", ["", "data/", "train/"])
def test_a_class_without_a_readable_file_is_lost_and_named(wrapper: str) -> None:
    paths = [*tree(*(wrapper + name for name in PETS)), f"{wrapper}hen/1.psd", f"{wrapper}owl/notes.txt"]
    folders = [f"{wrapper}{name}" for name in ("cat", "dog", "hen", "owl", "fox", "docs", "@eaDir")]
    assert interpret(paths, folders=folders).lost == ("fox", "hen", "owl")
