"""Pictures to try at once."""

from __future__ import annotations

from pathlib import Path

from loravit_web.examples import example_pictures
from loravit_web.images import load_rgb


def test_examples_are_readable_pictures_written_once(tmp_path: Path) -> None:
    first = example_pictures(tmp_path)
    assert len(first) >= 6
    assert all(min(load_rgb(path).size) >= 100 for path, _ in first)
    before = [path.stat().st_mtime_ns for path, _ in first]
    assert example_pictures(tmp_path) == first
    assert [path.stat().st_mtime_ns for path, _ in first] == before
