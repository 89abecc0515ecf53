"""The configured base stays in memory, and of the other bases the last one that was requested."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from loravit_web.backbones.loading import BaseUnavailable
from loravit_web.engine import EnginePool, MultiLoRAViT
from loravit_web.engine.pool import RETRY_SECONDS, BaseRefused
from tests.conftest import tiny_base

SEEDS = {"own": 0, "second": 1, "third": 2}


def engine(name: str) -> MultiLoRAViT:
    return MultiLoRAViT(tiny_base(seed=SEEDS[name], name=name), torch.float32)


OWN, SECOND, THIRD = (tiny_base(seed=seed).weights_sha256 for seed in SEEDS.values())


class Loader:
    """Loads engines and records the requested names; fails while `offline`."""

    def __init__(self) -> None:
        self.requested: list[str] = []
        self.offline = False

    def __call__(self, name: str) -> MultiLoRAViT:
        self.requested.append(name)
        if self.offline:
            raise BaseUnavailable(f"The weights of {name} could not be downloaded.")
        return engine(name)


def test_the_configured_base_is_never_loaded_and_another_base_once() -> None:
    load = Loader()
    pool = EnginePool(engine("own"), load)
    assert pool.get("own", OWN) is pool.configured
    assert pool.resident(SECOND) is None
    assert pool.get("second", SECOND) is pool.get("second", SECOND) is pool.resident(SECOND)
    assert load.requested == ["second"]


def test_a_third_base_evicts_the_second() -> None:
    load = Loader()
    pool = EnginePool(engine("own"), load)
    pool.get("second", SECOND)
    pool.get("third", THIRD)
    assert pool.resident(SECOND) is None
    assert pool.resident(OWN) is pool.configured
    pool.get("second", SECOND)
    assert load.requested == ["second", "third", "second"]


def test_concurrent_requests_share_one_load() -> None:
    load = Loader()
    pool, ready = EnginePool(engine("own"), load), threading.Barrier(4)

    def request(_number: int) -> MultiLoRAViT:
        ready.wait()
        return pool.get("second", SECOND)

    with ThreadPoolExecutor(4) as threads:
        assert len(set(threads.map(request, range(4)))) == 1
    assert load.requested == ["second"]


def test_a_base_that_failed_to_load_is_retried_only_after_a_pause() -> None:
    load, now = Loader(), [0.0]
    pool = EnginePool(engine("own"), load, clock=lambda: now[0])
    load.offline = True
    with pytest.raises(BaseUnavailable, match="could not be downloaded"):
        pool.get("second", SECOND)
    load.offline = False
    with pytest.raises(BaseRefused, match="could not be downloaded"):
        pool.get("second", SECOND)
    assert pool.failure("second") == "The weights of second could not be downloaded."
    now[0] = RETRY_SECONDS
    assert pool.failure("second") is None
    assert pool.get("second", SECOND).base.name == "second"
    assert load.requested == ["second", "second"]


def test_a_base_with_unexpected_weights_is_refused_and_not_kept() -> None:
    pool = EnginePool(engine("own"), Loader())
    with pytest.raises(BaseRefused, match="other weights here"):
        pool.get("second", THIRD)
    assert pool.resident(SECOND) is None


def test_the_refusal_of_a_loaded_base_with_other_weights_is_known_without_a_request() -> None:
    pool = EnginePool(engine("own"), Loader())
    assert pool.known_refusal("own", OWN) is None
    assert pool.known_refusal("second", SECOND) is None
    assert "has other weights here" in (pool.known_refusal("own", SECOND) or "")
