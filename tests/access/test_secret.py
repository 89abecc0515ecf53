"""A data folder has one key, which is private and survives restarts."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from loravit_web.access.secret import LENGTH, NAME, secret_of


def test_the_key_is_created_once(tmp_path: Path) -> None:
    key = secret_of(tmp_path)
    assert len(key) == LENGTH
    assert secret_of(tmp_path) == key
    assert stat.S_IMODE((tmp_path / NAME).stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == [NAME]


def test_concurrent_processes_get_the_same_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(lambda _: secret_of(tmp_path), range(16)))) == 1


def test_a_truncated_key_is_replaced(tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(b"short")
    assert len(secret_of(tmp_path)) == LENGTH
