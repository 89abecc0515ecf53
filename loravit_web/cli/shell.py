"""What the commands of the shell have in common."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from loravit_web.settings.environment import Settings


def output(options: argparse.Namespace, document: Any, text: Callable[[], str]) -> None:
    """Print the document where ``--json`` asks for it, else the text."""
    if options.json:
        from loravit_web.cli.views import json_text

        print(json_text(document))
    else:
        print(text())


def open_registry(settings: Settings) -> Any:
    """The registry of the data folder, to be closed by ``with``."""
    from registry import Registry

    return Registry.open(settings.made().database_url, settings.artifacts, cache=settings.artifact_cache)


@contextmanager
def open_runs(settings: Settings) -> Iterator[Any]:
    """Open the registry, once the runs of dead processes are told from those that run."""
    from loravit_web.worker.reaper import reap_once

    with open_registry(settings) as registry:
        reap_once(registry)
        yield registry
