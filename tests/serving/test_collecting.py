"""Images of requests are kept only where an admin switched it on, and only if the answer is doubted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from loravit_web.datasets.pool.store import PoolStore
from loravit_web.serving.answers import Label, TaskAnswer
from loravit_web.serving.collecting import SIDE, Collector, copy_of

UNSURE = TaskAnswer("pets@2", "Pets", (Label("cat", 0.4), Label("dog", 0.4)), None, 1.0, confidence=0.1)
SURE = replace(UNSURE, confidence=0.9)
UNLIKE = replace(SURE, novelty=3.0)


@pytest.fixture
def pools(tmp_path: Path) -> PoolStore:
    return PoolStore(tmp_path / "pools")


@pytest.fixture
def collector(pools: PoolStore) -> Iterator[Collector]:
    made = Collector(pools, is_allowed=True)
    yield made
    made.close()


def photo(color: str = "red", side: int = 8) -> Image.Image:
    return Image.new("RGB", (side, side), color)


def test_nothing_is_kept_by_default(pools: PoolStore, collector: Collector) -> None:
    collector.offer(photo(), [UNSURE, UNLIKE])
    collector.close()
    assert pools.images("pets") == []
    assert collector.tasks([UNSURE]) == []


def test_unsure_and_unlike_images_are_kept_once_switched_on(pools: PoolStore, collector: Collector) -> None:
    pools.collect("pets", True)
    collector.offer(photo("red"), [UNSURE, replace(UNSURE, task="birds@1")])
    collector.offer(photo("blue"), [UNLIKE])
    collector.offer(photo("green"), [SURE])
    collector.offer(photo("red"), [UNSURE])
    collector.close()
    assert len(pools.images("pets")) == 2
    assert pools.tasks() == ["pets"]
    assert all((one.origin, one.added_by) == ("use", "") for one in pools.images("pets"))


@pytest.mark.parametrize(
    "answer",
    [
        replace(UNSURE, error="Gone.", labels=()),
        replace(UNSURE, over=(), confidence=None, novelty=9.0),
        replace(UNSURE, task="run:" + "a" * 32),
    ],
    ids=["failed", "several labels", "first answer"],
)
def test_other_answers_keep_nothing(pools: PoolStore, collector: Collector, answer: TaskAnswer) -> None:
    pools.collect("pets", True)
    collector.offer(photo(), [answer])
    collector.close()
    assert pools.images("pets") == []


def test_a_demo_keeps_nothing(pools: PoolStore) -> None:
    pools.collect("pets", True)
    collector = Collector(pools, is_allowed=False)
    collector.offer(photo(), [UNSURE])
    collector.close()
    assert (pools.images("pets"), collector.tasks([UNSURE])) == ([], [])


def test_a_copy_is_small_and_has_no_metadata() -> None:
    image = photo(side=2 * SIDE)
    image.info["exif"] = b"Exif\0\0secret place"
    image.info["comment"] = b"secret"
    content = copy_of(image)
    assert b"secret" not in content
    with Image.open(BytesIO(content)) as copy:
        assert copy.size == (SIDE, SIDE)
        assert not copy.getexif()
    assert image.size == (2 * SIDE, 2 * SIDE)


def test_a_disk_that_cannot_be_written_ends_no_answer(
    pools: PoolStore, collector: Collector, caplog: pytest.LogCaptureFixture
) -> None:
    pools.collect("pets", True)
    (pools.root / "pets" / "images").write_text("in the way")
    collector.offer(photo(), [UNSURE])
    collector.close()
    assert "could not be kept" in caplog.text
