"""What the presets are worth on eleven tasks, beside those of version 0.2.0 and other programs' ways.

Accuracy is of test images, the same for all sizes and seeds; every way learns from the same images. The task
whose images have several labels is learned by the presets alone and scored by its mean average precision.
Each result is appended to a file, so that an interrupted run continues where it ended.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch

from benchmarks.learning.peft_models import import_peft
from benchmarks.learning.tag_scenes import write_tag_scenes
from benchmarks.learning.task_data import TAG_SCENES, TASKS, ZIPS, Cell, TaskImages
from benchmarks.learning.task_rows import Key, Row, RowFile, RowsUnusable, row_of
from benchmarks.learning.task_summary import figures, table
from benchmarks.learning.ways import BUDGET_OF, FULL, MAX_SIZE, PEFT, SEVERAL_LABELS, SHORT_WAYS, WAYS, Setup
from benchmarks.support.homes import embedded_base
from benchmarks.support.report import machine, show
from loravit_web.backbones import fastest_dtype

_SIZES, _SEEDS = (150, 300, 600), 3
_SHORT_SIZES, _SHORT_SEEDS = (300,), 2


def run(arguments: list[str]) -> int:
    """Run ``python -m benchmarks tasks --data FOLDER [--short] [--json FILE]``."""
    parser = _parser()
    options = parser.parse_args(arguments)
    sources = _sources(options)
    tasks = _tasks(parser, options.task, sources)
    sizes = options.size or (_SHORT_SIZES if options.short else _SIZES)
    seeds = options.seeds or (_SHORT_SEEDS if options.short else _SEEDS)
    ways = _ways(parser, options.only or (SHORT_WAYS if options.short else tuple(WAYS)))
    importlib.import_module("sklearn.linear_model")  # takes a second, and no way is to be timed with it
    base = embedded_base()
    dtype: torch.dtype = getattr(torch, options.dtype) if options.dtype else fastest_dtype(base)
    precision = str(dtype).removeprefix("torch.")
    try:
        file = RowFile(options.json, f"{precision} and up to {options.test_images} test images")
    except RowsUnusable as error:
        parser.error(str(error))
    with tempfile.TemporaryDirectory() as folder:
        if any(TASKS[name].source == TAG_SCENES for name in tasks):
            sources[TAG_SCENES] = str(write_tag_scenes(Path(folder) / "tags"))
        images = TaskImages(Path(folder) / "store", sources, options.test_images)
        cells = list(images.cells(tasks, sizes, seeds))
        rows = _learn(cells, ways, Setup(base, dtype), file)
    return _show(rows, f"seeds: {seeds}, {precision}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks tasks")
    parser.add_argument("--data", type=Path, help=f"folder with {', '.join(ZIPS.values())}")
    for name, file in ZIPS.items():
        parser.add_argument(f"--{name}", type=Path, metavar="ZIP", help=f"{file}, if it is elsewhere")
    parser.add_argument(
        "--short", action="store_true", help="one size, two seeds, no training by other programs"
    )
    parser.add_argument("--task", action="append", choices=TASKS, help="only this task; can be repeated")
    parser.add_argument("--only", action="append", choices=WAYS, help="only this way; can be repeated")
    parser.add_argument("--size", action="append", type=_size, help="training and validation images")
    parser.add_argument("--seeds", type=int, help="number of seeds")
    parser.add_argument("--test-images", type=int, default=200, help="maximum number of test images")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), help="default: the faster one")
    parser.add_argument(
        "--json", type=Path, help="file to append each result to, and to continue from (JSON lines)"
    )
    return parser


def _size(text: str) -> int:
    size = int(text)
    if not 20 <= size <= MAX_SIZE:
        raise argparse.ArgumentTypeError(f"{size} images are out of range. Choose 20 to {MAX_SIZE}.")
    return size


def _sources(options: argparse.Namespace) -> dict[str, str]:
    """Return what each `Task.source` is imported from, without the zips that are missing."""
    sources = {task.source: task.source for task in TASKS.values() if task.source not in ZIPS}
    for name, file in ZIPS.items():
        path = getattr(options, name.replace("-", "_")) or (options.data and options.data / file)
        if path and path.exists():
            sources[name] = str(path)
    return sources


def _tasks(
    parser: argparse.ArgumentParser, asked: Sequence[str] | None, sources: dict[str, str]
) -> list[str]:
    """Return the tasks to learn: those asked for, or all whose images are there."""
    missing = [name for name in asked or TASKS if TASKS[name].source not in sources]
    if asked and missing:
        option = TASKS[missing[0]].source
        parser.error(f"The images of {missing[0]} are missing. Name them with --data or --{option}.")
    if missing:
        print(f"left out, because their images are missing: {', '.join(missing)}", file=sys.stderr)
    return [name for name in asked or TASKS if name not in missing]


def _ways(parser: argparse.ArgumentParser, asked: Sequence[str]) -> list[str]:
    """Return the ways in the order of `WAYS`."""
    if FULL in asked and BUDGET_OF not in asked:
        parser.error(f"{FULL} has the time budget of {BUDGET_OF}. Add --only {BUDGET_OF}.")
    if PEFT in asked:
        import_peft()
    return [name for name in WAYS if name in asked]


def _learn(cells: Sequence[Cell], ways: Sequence[str], setup: Setup, file: RowFile) -> list[Row]:
    """Learn each cell in each way that the file does not have yet; return the rows of all."""
    keys = [
        (cell, Key(cell.task, cell.size, cell.seed, way))
        for cell in cells
        for way in ways
        if way in SEVERAL_LABELS or not TASKS[cell.task].several
    ]
    for number, (cell, key) in enumerate(keys, start=1):
        if key not in file.rows:
            budget = file.rows.get(key._replace(way=BUDGET_OF))
            outcome = WAYS[key.way](setup, cell, budget.seconds if budget else 0.0)
            file.add(row_of(key, file.conditions, outcome))
            _tell(file.rows[key], number, len(keys))
    return [file.rows[key] for _cell, key in keys]


def _tell(row: Row, number: int, of: int) -> None:
    print(
        f"[{number} of {of}] {row.task}, {row.size} images, seed {row.seed}, {row.way}: "
        f"{row.accuracy:.3f} in {row.seconds:.1f} s",
        file=sys.stderr,
    )


def _show(rows: Sequence[Row], conditions: str) -> int:
    sizes = ", ".join(str(size) for size in sorted({row.size for row in rows}))
    title = f"tasks of {sizes} training and validation images, {conditions}"
    print(f"\n{title}\n{machine()}\n\n{table(rows)}")
    measured = figures(rows)
    return show("the presets of today", measured) if measured else 0
