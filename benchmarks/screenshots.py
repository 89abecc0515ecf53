"""The README's screenshots, taken from the real app with adapters that it trained a moment before.

Everything is read from scikit-learn's handwritten digits: which digit it is, and two questions that
regroup the same scans.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.browser import chromium, drop, pick, running_app
from loravit_web.datasets import DatasetStore

FOLDER = Path(__file__).with_name("screenshots")
LOOPS = {"loop": "0689", "no loop": "12357"}
PARITY = {"even": "02468", "odd": "13579"}


def run(_arguments: list[str]) -> int:
    """``python -m benchmarks screenshots``."""
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        digits = DatasetStore(home / "datasets").import_source("sample:digits")
        scans = {(i.split, digits.classes[i.label], digits.image_path(i)) for i in digits.items}
        _train(home, "sample:digits", "handwritten-digits")
        for name, groups in (("closed-loop", LOOPS), ("odd-or-even", PARITY)):
            data = home / name
            for split, digit, path in sorted(scans):
                group = next((g for g, members in groups.items() if digit in members), None)
                if group is not None:
                    (data / split / group).mkdir(parents=True, exist_ok=True)
                    shutil.copy(path, data / split / group)
            _train(home, str(data), name)
        eight = next(path for split, digit, path in sorted(scans) if (split, digit) == ("test", "8"))
        _take(home, eight)
    print(f"in {FOLDER.name}/: {', '.join(sorted(p.name for p in FOLDER.iterdir()))}")
    return 0


def _train(home: Path, data: str, name: str) -> None:
    command = [sys.executable, "-m", "loravit_web", "train", data, "--name", name, "--no-mirror"]
    subprocess.run(command, env={**os.environ, "LORAVIT_HOME": str(home)}, check=True)


def _take(home: Path, picture: Path) -> None:
    with running_app(home) as url, chromium() as browser:
        for scheme in ("light", "dark"):
            page = browser.new_page(viewport={"width": 1280, "height": 640})
            page.goto(f"{url}?__theme={scheme}")
            page.wait_for_selector("#use-tasks")
            pick(page, "Handwritten digits", "Closed loop", "Odd or even")
            drop(page, picture)
            page.wait_for_timeout(1000)
            page.screenshot(path=FOLDER / f"use-{scheme}.png")
            page.close()
