"""Other names of classes: a class is renamed, or several are merged into one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from loravit_web.datasets.errors import DatasetError
from loravit_web.datasets.records import ImageDataset
from loravit_web.datasets.revisions.next import Draft
from loravit_web.datasets.similar import key_of
from loravit_web.datasets.sources.scan import check_classes, clean_class_name, sorted_classes
from loravit_web.util.text import listed


class NoSuchClass(DatasetError):
    """A class that a dataset does not have."""


class NameTaken(DatasetError):
    """A new name of a class that another class has."""


class SameNames(DatasetError):
    """A change of names without any change."""


def renaming(dataset: ImageDataset, old: str, new: str) -> Draft:
    """Return a dataset in which a class has another name.

    Args:
        dataset: Dataset with the class.
        old: Name of the class.
        new: New name, which no other class has.

    Raises:
        NoSuchClass: If there is no such class.
        NameTaken: If another class has the name, or one that differs only in case or spaces.
        SameNames: If the name is the old one, or empty.
        ClassNameTooLong: If the name is too long.
    """
    _check_known(dataset, [old])
    name = clean_class_name(new)
    if name in ("", old):
        raise SameNames(f"The class “{old}” needs another name. Type a new one.")
    alike = [one for one in dataset.classes if one != old and key_of(one) == key_of(name)]
    if alike:
        raise NameTaken(f"There is a class “{alike[0]}” already. Use another name, or merge the two classes.")
    return _with_names(dataset, {old: name})


def merging(dataset: ImageDataset, names: Sequence[str], into: str) -> Draft:
    """Return a dataset in which several classes are one.

    Args:
        dataset: Dataset with the classes.
        names: Names of the classes to merge.
        into: Name of the one class: that of one of them, of another class, or a new one.

    Raises:
        NoSuchClass: If there is no such class.
        SameNames: If fewer than two classes would be merged.
        DatasetError: If only one class would be left, or the name is too long.
    """
    _check_known(dataset, names)
    name = clean_class_name(into) or names[0]
    merged = sorted({*names, *({name} & set(dataset.classes))})
    if len(merged) < 2:
        raise SameNames(f"Only “{merged[0]}” was chosen. Choose at least two classes to merge.")
    return _with_names(dataset, {old: name for old in merged if old != name})


def _check_known(dataset: ImageDataset, names: Sequence[str]) -> None:
    for name in names:
        if name not in dataset.classes:
            known = listed([f"“{one}”" for one in dataset.classes], most=8)
            raise NoSuchClass(f"“{dataset.title}” has no class “{name[:80]}”. Choose one of {known}.")


def _with_names(dataset: ImageDataset, names: Mapping[str, str]) -> Draft:
    classes = sorted_classes(names.get(name, name) for name in dataset.classes)
    label_of = {name: label for label, name in enumerate(classes)}
    new_labels = [label_of[names.get(name, name)] for name in dataset.classes]
    items = {
        (item.split, item.sha256, labels): replace(item, labels=labels)
        for item in dataset.items
        for labels in [tuple(sorted({new_labels[label] for label in item.labels}))]
    }
    placed = ((item.split, classes[label]) for item in items.values() for label in item.labels)
    check_classes(placed)
    return Draft(classes, tuple(items.values()), names)
