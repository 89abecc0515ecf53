"""What hostile visitors can do to a real app: its memory, disk, routes, sign-in, sessions, files, demo."""

from __future__ import annotations

import argparse
import signal
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.hostile import demo, disk, files, memory, routes, signin, work
from benchmarks.hostile.app import Place
from benchmarks.hostile.attack import LIGHT, Load
from benchmarks.support.homes import embedded_base, home_of_tasks
from benchmarks.support.report import Figure, save, show
from loravit_web.adapters import ViTAdapterConfig

TASKS, SIDE = 2, 224


@dataclass(frozen=True)
class Attack:
    """One part of the command.

    Attributes:
        measure: takes the folders of a new app, what gives free ports, how much is sent, and the words that
            the names of its cases have to hold.
    """

    title: str
    measure: Callable[[Place, Callable[[], int], Load, str], list[Figure]]


ATTACKS: dict[str, Attack] = {
    "memory": Attack("an app held to 4 GB, ten askers at once", memory.measure),
    "work": Attack("work that costs much, or whose visitor has left", work.measure),
    "disk": Attack("uploads, recordings and kills", disk.measure),
    "routes": Attack("routes by right", routes.measure),
    "signin": Attack("200 guesses a minute while a member signs in", signin.measure_signin),
    "sessions": Attack("sessions that should have ended", signin.measure_sessions),
    "files": Attack("connections to the limit of open files", files.measure),
    "demo": Attack("two visitors of a demo", demo.measure),
}


def run(arguments: list[str]) -> int:
    """``python -m benchmarks hostile [--only memory,disk] [--case TEXT] [--light] [--json FILE]``."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks hostile")
    parser.add_argument("--only", default=",".join(ATTACKS), help=f"some of {','.join(ATTACKS)}")
    parser.add_argument("--case", default="", metavar="TEXT", help="only cases with this in their name")
    parser.add_argument("--light", action="store_true", help="send less, and for a shorter time")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    names = options.only.split(",")
    if unknown := sorted(set(names) - set(ATTACKS)):
        parser.error(f"there is no {', '.join(unknown)}: choose from {', '.join(ATTACKS)}")
    load = LIGHT if options.light else Load()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the app ends with this command
    base, figures = embedded_base(), list[Figure]()
    for name in names:
        began = time.monotonic()
        print(f"{name}: {ATTACKS[name].title}", file=sys.stderr)
        with home_of_tasks(base, TASKS, ViTAdapterConfig(), image_size=SIDE) as home:
            found = ATTACKS[name].measure(Place(home.parent, home), free_port, load, options.case)
        figures += [Figure(f"{name}: {one.name}", one.value, one.target, one.met, one.note) for one in found]
        print(f"{name}: {time.monotonic() - began:.0f} s", file=sys.stderr)
    title = "what a hostile visitor can do" + (" (light)" if options.light else "")
    save(options.json, title, figures)
    return show(title, figures)


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
