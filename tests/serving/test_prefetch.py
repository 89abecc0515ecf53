"""Answers are prepared one by one, for as long as nobody asks or wants others."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from PIL import Image

from loravit_web.images.loading import UnreadableImage
from loravit_web.serving.prefetch import MOST, Ahead

PICTURE = Image.new("RGB", (4, 4))
PATIENCE = 20.0


class Kitchen:
    """Prepares what it is asked; ``after`` is called with each task that is done."""

    def __init__(self) -> None:
        self.prepared: list[str] = []
        self.done = threading.Event()
        self.after: Callable[[str], bool] = lambda _task: True

    def prepare(self, image: Image.Image, task: str) -> bool:
        assert image is PICTURE
        self.prepared.append(task)
        if task == "last":
            self.done.set()
        return self.after(task)

    def wait(self) -> None:
        assert self.done.wait(PATIENCE)


@pytest.fixture
def kitchen() -> Kitchen:
    return Kitchen()


def test_what_is_wanted_is_prepared_in_its_order(kitchen: Kitchen) -> None:
    Ahead(kitchen.prepare, pause=0).want(lambda: PICTURE, ["a", "b", "last"])
    kitchen.wait()
    assert kitchen.prepared == ["a", "b", "last"]


def test_no_more_than_so_many_are_prepared_for_a_picture(kitchen: Kitchen) -> None:
    ahead = Ahead(kitchen.prepare, pause=0)
    ahead.want(lambda: PICTURE, [*(str(number) for number in range(MOST - 1)), "last", "too many"])
    kitchen.wait()
    ahead.stop()
    assert len(kitchen.prepared) == MOST


def test_what_is_left_is_dropped_when_somebody_waits_for_an_answer(kitchen: Kitchen) -> None:
    ahead = Ahead(kitchen.prepare, pause=0)
    kitchen.after = lambda task: task != "last"
    ahead.want(lambda: PICTURE, ["a", "last", "b"])
    kitchen.wait()
    ahead.stop()
    assert kitchen.prepared == ["a", "last"]


def test_what_is_wanted_later_takes_the_place_of_what_is_left(kitchen: Kitchen) -> None:
    ahead = Ahead(kitchen.prepare, pause=0)

    def want_others(task: str) -> bool:
        if task == "a":
            ahead.want(lambda: PICTURE, ["c", "last"])
        return True

    kitchen.after = want_others
    ahead.want(lambda: PICTURE, ["a", "b"])
    kitchen.wait()
    assert kitchen.prepared == ["a", "c", "last"]


def test_nothing_is_prepared_within_the_pause(kitchen: Kitchen) -> None:
    ahead = Ahead(kitchen.prepare, pause=PATIENCE)
    ahead.want(lambda: PICTURE, ["a"])
    ahead.want(lambda: PICTURE, ["b"])
    ahead.stop()
    assert kitchen.prepared == []


def test_a_picture_that_can_not_be_opened_is_left_alone(kitchen: Kitchen) -> None:
    opened = threading.Event()

    def broken() -> Image.Image:
        opened.set()
        raise UnreadableImage("This is no picture.")

    ahead = Ahead(kitchen.prepare, pause=0)
    ahead.want(broken, ["a"])
    assert opened.wait(PATIENCE)
    ahead.stop()
    ahead.want(lambda: PICTURE, ["last"])
    kitchen.wait()
    assert kitchen.prepared == ["last"]
