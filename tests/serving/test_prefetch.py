"""Answers are computed in advance one by one, until a request waits or other tasks are prefetched."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from PIL import Image

from loravit_web.images.loading import UnreadableImage
from loravit_web.serving.prefetch import MAX_PREFETCHED, Prefetcher

IMAGE = Image.new("RGB", (4, 4))
PATIENCE = 20.0


class Computer:
    """Records the computed tasks and calls ``after`` with each of them."""

    def __init__(self) -> None:
        self.prepared: list[str] = []
        self.done = threading.Event()
        self.after: Callable[[str], bool] = lambda _task: True

    def prepare(self, image: Image.Image, task: str) -> bool:
        assert image is IMAGE
        self.prepared.append(task)
        if task == "last":
            self.done.set()
        return self.after(task)

    def wait(self) -> None:
        assert self.done.wait(PATIENCE)


@pytest.fixture
def computer() -> Computer:
    return Computer()


def test_tasks_are_computed_in_order(computer: Computer) -> None:
    Prefetcher(computer.prepare, pause=0).prefetch(lambda: IMAGE, ["a", "b", "last"])
    computer.wait()
    assert computer.prepared == ["a", "b", "last"]


def test_the_number_of_tasks_per_image_is_limited(computer: Computer) -> None:
    prefetcher = Prefetcher(computer.prepare, pause=0)
    prefetcher.prefetch(
        lambda: IMAGE, [*(str(number) for number in range(MAX_PREFETCHED - 1)), "last", "too many"]
    )
    computer.wait()
    prefetcher.stop()
    assert len(computer.prepared) == MAX_PREFETCHED


def test_the_rest_is_dropped_when_a_request_waits(computer: Computer) -> None:
    prefetcher = Prefetcher(computer.prepare, pause=0)
    computer.after = lambda task: task != "last"
    prefetcher.prefetch(lambda: IMAGE, ["a", "last", "b"])
    computer.wait()
    prefetcher.stop()
    assert computer.prepared == ["a", "last"]


def test_a_later_prefetch_replaces_the_rest(computer: Computer) -> None:
    prefetcher = Prefetcher(computer.prepare, pause=0)

    def prefetch_others(task: str) -> bool:
        if task == "a":
            prefetcher.prefetch(lambda: IMAGE, ["c", "last"])
        return True

    computer.after = prefetch_others
    prefetcher.prefetch(lambda: IMAGE, ["a", "b"])
    computer.wait()
    assert computer.prepared == ["a", "c", "last"]


def test_nothing_is_computed_during_the_pause(computer: Computer) -> None:
    prefetcher = Prefetcher(computer.prepare, pause=PATIENCE)
    prefetcher.prefetch(lambda: IMAGE, ["a"])
    prefetcher.prefetch(lambda: IMAGE, ["b"])
    prefetcher.stop()
    assert computer.prepared == []


def test_an_image_that_cannot_be_opened_is_ignored(computer: Computer) -> None:
    opened = threading.Event()

    def broken() -> Image.Image:
        opened.set()
        raise UnreadableImage("This is not an image.")

    prefetcher = Prefetcher(computer.prepare, pause=0)
    prefetcher.prefetch(broken, ["a"])
    assert opened.wait(PATIENCE)
    prefetcher.stop()
    prefetcher.prefetch(lambda: IMAGE, ["last"])
    computer.wait()
    assert computer.prepared == ["last"]
