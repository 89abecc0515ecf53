"""What the Catalog tab costs the server when the registry holds much: time and queries of each step."""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from benchmarks.faults.chaos_jobs import tiny_base
from benchmarks.support.registry_data import Filler, Scale
from benchmarks.support.report import Figure, at_most, save, show

OPEN_MS = 500.0
ROUNDS = 15


def run(arguments: list[str]) -> int:
    """``python -m benchmarks catalog [--adapters N] [--json FILE]``."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks catalog")
    parser.add_argument("--adapters", type=int, default=10_000)
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["GRADIO_TEMP_DIR"] = str(Path(folder) / "gradio")
        figures = _measured(Path(folder), options.adapters)
    title = f"Catalog tab over {options.adapters:,} adapters; medians of {ROUNDS}, on the server"
    save(options.json, title, figures)
    return show(title, figures)


def _measured(folder: Path, adapters: int) -> list[Figure]:
    import gradio as gr
    from sqlalchemy import event

    from loravit_web.service import Service
    from loravit_web.settings.environment import Settings
    from loravit_web.ui.catalog.tab import build_catalog

    service = Service(Settings(home=folder / "home", base="tiny"), load=lambda *_: tiny_base())
    Filler(service.registry, Scale(adapters, 1_000, 10_000)).fill()
    with gr.Blocks():
        view = build_catalog(service)
    asked: list[str] = []
    event.listen(
        service.registry._database.engine, "before_cursor_execute", lambda *args: asked.append(args[2])
    )
    figures = [_figure(name, step, asked) for name, step in _steps(view).items()]
    service.close()
    return figures


def _steps(view: Any) -> Mapping[str, Callable[[], object]]:
    from loravit_web.access.rights import LOCAL

    data = dict(view.untouched)
    chosen = {**data, view.card.ref: "adapter-7@2"}
    request: Any = SimpleNamespace(
        username=None,
        query_params={},
        headers={"host": "127.0.0.1"},
        url=SimpleNamespace(scheme="http"),
    )
    linked: Any = SimpleNamespace(**{**vars(request), "query_params": {"adapter": "adapter-7"}})
    words = {**data, view.filters.fields["text"]: "adapter"}
    last, seen = view.service.registry.revision(), view.service.seen_by(LOCAL)
    return {
        "open the tab": lambda: view.list_arrived(request),
        "open the link of an adapter": lambda: view.card_arrived(linked),
        "what there is to filter by": lambda: view.filters.offered(seen, data),
        "turn a page": lambda: view.listed(seen, data, page=2),
        "turn to page 400": lambda: view.listed(seen, data, page=400),
        "search a word of every adapter": lambda: {
            **view.listed(seen, words, page=1),
            **view.filters.offered(seen, words),
        },
        "choose an adapter": lambda: view.opened(data, "adapter-8", request),
        "a change of another adapter": lambda: view.refreshed({**chosen, view.card.seen: last}, request),
        "a change of the chosen adapter": lambda: view.refreshed(chosen, request),
    }


def _figure(name: str, step: Callable[[], object], asked: list[str]) -> Figure:
    step()
    times = []
    for _ in range(ROUNDS):
        asked.clear()
        started = time.perf_counter()
        step()
        times.append((time.perf_counter() - started) * 1000)
    queries = sum(not one.startswith(("BEGIN", "PRAGMA")) for one in asked)
    return at_most(
        name, statistics.median(times), OPEN_MS, " ms", f"{queries} queries, slowest {max(times):.0f} ms"
    )
