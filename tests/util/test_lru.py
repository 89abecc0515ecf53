"""The budget is met by evicting the least recently used values."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor

from loravit_web.util.lru import LRU


def lru(budget: int) -> LRU[str, bytes]:
    return LRU(budget, len)


def test_the_least_recently_used_value_is_evicted_first() -> None:
    cache = lru(3)
    for key in "abc":
        cache.put(key, b"x")
    assert cache.get("a") == b"x"
    cache.put("d", b"xx")
    assert [cache.get(key) for key in "abcd"] == [b"x", None, None, b"xx"]
    assert (cache.used, len(cache)) == (3, 2)


def test_a_value_replaced_or_dropped_frees_its_bytes() -> None:
    cache = lru(10)
    cache.put("a", b"x" * 8)
    cache.put("a", b"y" * 3)
    assert (cache.get("a"), cache.used) == (b"yyy", 3)
    cache.drop("a")
    cache.drop("a")
    assert (cache.get("a"), cache.used, len(cache)) == (None, 0, 0)


def test_removing_values_by_condition_frees_their_bytes() -> None:
    kept: LRU[str, int] = LRU(10, lambda value: value)
    for key, value in (("a", 1), ("b", 2), ("c", 3)):
        kept.put(key, value)
    kept.drop_where(lambda value: value % 2 == 1)
    assert (kept.get("a"), kept.get("b"), kept.get("c"), kept.used) == (None, 2, None, 2)


def test_a_value_larger_than_the_budget_is_not_kept_and_evicts_nothing_else() -> None:
    cache = lru(4)
    cache.put("a", b"xx")
    cache.put("big", b"x" * 5)
    assert (cache.get("big"), cache.get("a"), cache.used) == (None, b"xx", 2)
    cache.put("a", b"x" * 5)
    assert (cache.get("a"), cache.used) == (None, 0)


def test_values_used_once_do_not_evict_reused_values() -> None:
    cache: LRU[str, bytes] = LRU(4, len, one_time_budget=2)
    for key in "ab":
        cache.put(key, b"x")
        cache.get(key)
    for key in "cdefg":
        cache.put(key, b"x")
    assert [cache.get(key) is not None for key in "abcdefg"] == [True, True, *3 * [False], True, True]
    assert (cache.used, len(cache)) == (4, 4)


def test_reused_values_share_the_whole_budget() -> None:
    cache: LRU[str, bytes] = LRU(4, len, one_time_budget=2)
    for key in "abcdef":
        cache.put(key, b"x")
        cache.get(key)
    cache.put("g", b"x")
    cache.drop_where(lambda value: value == b"")
    assert [cache.get(key) is not None for key in "abcdefg"] == [*3 * [False], *4 * [True]]
    assert cache.put("large", b"xxx") is False
    assert cache.evict_oldest() and (cache.used, len(cache)) == (3, 3)


def test_without_a_budget_only_empty_values_are_kept() -> None:
    cache = lru(0)
    cache.put("a", b"x")
    cache.put("empty", b"")
    assert (cache.get("a"), cache.get("empty")) == (None, b"")


def test_concurrent_access_keeps_the_size_correct() -> None:
    cache = lru(50)

    def access(seed: int) -> None:
        dice = random.Random(seed)
        for _ in range(3000):
            key = str(dice.randrange(12))
            act = dice.randrange(4)
            if act == 0:
                cache.drop(key)
            elif act == 1:
                found = cache.get(key)
                assert found is None or found.startswith(key.encode())
            else:
                cache.put(key, key.encode() * dice.randrange(1, 20))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(access, range(8)))
    kept = [value for key in range(12) if (value := cache.get(str(key))) is not None]
    assert cache.used == sum(map(len, kept)) <= 50
    assert len(cache) == len(kept)
