"""Images of other programs' tests: each is read, or refused with a sentence, within a time.

Such as those of Pillow's own tests, which are in its source archive: damaged, rare and hostile files.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from pathlib import Path

from benchmarks.support.report import Figure, at_most, save, show
from loravit_web.images.formats import sniffed
from loravit_web.images.loading import ImageError, load_described

MOST_SECONDS = 10.0
_NOT_IMAGES = {".txt", ".md", ".py", ".rst", ".ttf", ".otf", ".pcf", ".icc", ".icm", ".zip", ".sh", ".c"}


def run(arguments: list[str]) -> int:
    """``python -m benchmarks foreign-images FOLDER [--list] [--json FILE]``."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks foreign-images")
    parser.add_argument("folder", type=Path, help="folder of images, such as Tests/images of Pillow's source")
    parser.add_argument("--list", action="store_true", help="print each refusal")
    parser.add_argument("--json", type=Path, help="also write all figures to this file")
    options = parser.parse_args(arguments)
    files = sorted(
        path
        for path in options.folder.rglob("*")
        if path.is_file() and path.suffix.lower() not in _NOT_IMAGES
    )
    read: Counter[str] = Counter()
    refused: dict[str, str] = {}
    crashed: list[str] = []
    slowest = (0.0, "")
    for path in files:
        name = path.relative_to(options.folder).as_posix()
        started = time.perf_counter()
        try:
            load_described(path)
        except ImageError as error:
            refused[name] = str(error)
        except Exception as error:  # noqa: BLE001 - these are what is counted
            crashed.append(f"{name}: {error!r}")
        else:
            read[sniffed(path.read_bytes()[:4096]) or "unknown"] += 1
        slowest = max(slowest, (time.perf_counter() - started, name))
    if options.list:
        print("\n".join(f"{name}: {sentence}" for name, sentence in refused.items()))
    figures = [
        Figure("files", str(len(files))),
        Figure("read", str(read.total()), note=", ".join(f"{n} {label}" for label, n in read.most_common())),
        Figure("refused with a sentence", str(len(refused))),
        at_most("neither", len(crashed), 0, note="; ".join(crashed[:3])),
        at_most("slowest", slowest[0], MOST_SECONDS, " s", note=slowest[1]),
    ]
    title = f"foreign images in {options.folder.name}"
    save(options.json, title, figures, refused=refused)
    return show(title, figures)
