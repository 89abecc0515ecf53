from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CODE = """
import os, resource
from loravit_web.util.heap import keep_freed_memory
keep_freed_memory(os.environ)
faults = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt
def step():
    blocks = [b"1" * (4 << 20) for _ in range(8)]
for _ in range(3):
    step()
before = faults()
for _ in range(10):
    step()
print(faults() - before)
"""
"""Prints the number of pages that ten rounds of the same allocations asked the system for."""


def faults(**settings: str) -> int:
    environment = {**os.environ, **settings}
    command = [sys.executable, "-c", CODE]
    result = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return int(result.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library than glibc")
def test_freed_memory_is_used_again_unless_the_environment_says_how_much_is_kept() -> None:
    pages_of_a_round = 8 * (4 << 20) // 4096
    assert faults() < pages_of_a_round
    assert faults(MALLOC_TRIM_THRESHOLD_="131072") > 5 * pages_of_a_round
