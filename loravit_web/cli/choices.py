"""Choices of options. They repeat those of modules that import torch, so that help is fast."""

from __future__ import annotations

import codecs
from typing import Annotated, Literal

import typer

PresetName = Literal["instant", "draft", "quick", "balanced", "best"]
AdapterTypeName = Literal["LORA", "PREFIX", "LINEAR", "PROBE"]
PoolingName = Literal["cls", "mean", "cls+mean", "map", "none"]
TargetName = Literal["q", "k", "v", "qkv", "proj", "fc1", "fc2"]

ExportFormatName = Literal["onnx", "web", "onnx-merged"]
PrecisionName = Literal["fp32", "fp16"]
FormName = Literal["folders", "csv", "imagefolder", "coco"]

ClassesAt = Annotated[
    str | None,
    typer.Option(
        metavar="LEVEL",
        help="Level of the class folders: 1 for the top folders, 2 for the folders inside them, or last for "
        "the folders that directly contain the images.",
    ),
]


def classes_level(text: str | None) -> int | Literal["last"] | None:
    """Return the level that an option names.

    Raises:
        typer.BadParameter: If it is neither a number from 1 nor ``last``.
    """
    if text is None or text == "last":
        return "last" if text else None
    if text.isascii() and text.isdecimal() and 1 <= int(text[:4]) == int(text):
        return int(text)
    raise typer.BadParameter(f"{text[:20]!r} is not a level. Use 1, 2, … or last.", param_hint="--classes-at")


NamesEncoding = Annotated[
    str | None,
    typer.Option(
        "--encoding",
        metavar="NAME",
        help="Encoding of the names in a zip that do not tell it, such as cp866 or gbk.",
    ),
]


ColumnChoices = Annotated[
    list[str] | None,
    typer.Option(
        "--column",
        metavar="ROLE=NAME",
        help="Column of a table: path, label or split, and its name, such as label=breed; split=none for no "
        "column of splits. May be repeated. Columns that are not named are found.",
    ),
]


def known_encoding(name: str | None) -> str | None:
    """Return the name of a text encoding.

    Raises:
        typer.BadParameter: If there is no such encoding.
    """
    try:
        return name and codecs.lookup(name).name
    except LookupError as error:
        raise typer.BadParameter(
            f"{name!r} is not an encoding. Use one such as cp866, cp1251, gbk or cp932.",
            param_hint="--encoding",
        ) from error
