"""Signals end the main thread whatever it does, or the process after a grace period."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from loravit_web.worker.stopping import stop_on_signals

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=str)
def test_a_signal_sets_the_event_and_previous_handlers_are_restored(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    terminate, forced = threading.Event(), threading.Event()
    with stop_on_signals(terminate, forced.set):
        os.kill(os.getpid(), number)
        assert terminate.wait(10)
    assert not forced.is_set()
    assert signal.getsignal(number) is before
    assert signal.set_wakeup_fd(-1) == -1


def test_a_thread_that_does_not_end_in_time_triggers_the_last_resort() -> None:
    terminate, forced = threading.Event(), threading.Event()
    with stop_on_signals(terminate, forced.set, grace=0.01):
        os.kill(os.getpid(), signal.SIGTERM)
        assert forced.wait(10)


def test_a_second_signal_ends_the_grace_period() -> None:
    terminate, forced = threading.Event(), threading.Event()
    with stop_on_signals(terminate, forced.set, grace=600):
        os.kill(os.getpid(), signal.SIGINT)
        assert terminate.wait(10)
        os.kill(os.getpid(), signal.SIGINT)
        assert forced.wait(10)


def test_without_a_signal_nothing_happens() -> None:
    terminate, forced = threading.Event(), threading.Event()
    with stop_on_signals(terminate, forced.set, grace=0.0):
        pass
    assert not terminate.is_set()
    assert not forced.is_set()


def test_a_main_thread_inside_a_long_call_is_ended() -> None:
    code = (
        "import hashlib, os, threading\n"
        "from loravit_web.worker.stopping import stop_on_signals\n"
        "def forced(): print('forced', flush=True); os._exit(3)\n"
        "with stop_on_signals(threading.Event(), forced, grace=0.05):\n"
        "    print('ready', flush=True)\n"
        # a long call in C that releases the GIL, as in torch and SQLite; no Python signal handler runs there
        "    hashlib.pbkdf2_hmac('sha256', b'', b'', 2**31 - 1)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True, bufsize=1
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGTERM)
    try:
        assert process.communicate(timeout=20)[0] == "forced\n"
    finally:
        process.kill()
    assert process.returncode == 3
