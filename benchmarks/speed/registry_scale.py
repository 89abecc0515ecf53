"""How long the registry takes to answer when it holds much: lists, curves, and what the app asks often."""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from benchmarks.support.registry_data import Filler, Scale
from benchmarks.support.report import Figure, at_most, save, show
from registry import AdapterQuery, NewVersion, Registry, RunQuery, UnknownAdapter

LIST_MS, CURVES_MS = 30.0, 100.0
MAX_POINTS = 500
ROUNDS = 25

Action = Callable[[], object]


def run(arguments: list[str]) -> int:
    """``python -m benchmarks registry [--database-url URL] [--adapters N] [--runs N] [--points N]``."""
    options = _options(arguments)
    scale = Scale(options.adapters, options.runs, options.points)
    with tempfile.TemporaryDirectory() as folder:
        url = options.database_url or f"sqlite:///{Path(folder) / 'registry.db'}"
        with Registry.open(url, Path(folder) / "artifacts") as registry:
            if registry.revision() or registry.search.runs(RunQuery()).total:
                print("error: the database isn't empty; give an empty one.", file=sys.stderr)
                return 1
            figures = _measured(registry, scale)
    backend = url.partition(":")[0]
    title = (
        f"registry on {backend}: {scale.adapters:,} adapters, {scale.runs:,} runs, "
        f"{scale.points:,} metric points; medians of {ROUNDS}"
    )
    save(options.json, title, figures)
    return show(title, figures)


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks registry")
    parser.add_argument("--database-url", help="an empty database (default: a temporary SQLite file)")
    parser.add_argument("--adapters", type=int, default=10_000)
    parser.add_argument("--runs", type=int, default=1_000)
    parser.add_argument("--points", type=int, default=1_000_000)
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    return parser.parse_args(arguments)


def _measured(registry: Registry, scale: Scale) -> list[Figure]:
    started = time.perf_counter()
    long_run = Filler(registry, scale).fill()
    filled = time.perf_counter() - started
    print(f"Filled in {filled:.0f} s; comparing every summary with its rows.", file=sys.stderr)
    started = time.perf_counter()
    stale = registry.search.stale_summaries()
    checked = time.perf_counter() - started
    return [
        Figure("fill", f"{filled:.0f} s"),
        Figure(
            "check of all summaries",
            f"{checked:.1f} s",
            "none stale",
            not stale,
            f"{len(stale)} stale",
        ),
        *(_figure(f"list: {name}", action, LIST_MS) for name, action in _lists(registry).items()),
        *(_figure(name, action, CURVES_MS) for name, action in _curves(registry, long_run).items()),
        *(_figure(name, action, None) for name, action in _others(registry).items()),
    ]


def _lists(registry: Registry) -> Mapping[str, Action]:
    word = registry.catalog.resolve("adapter-7").title.split()[1]
    facets = registry.search.facets(AdapterQuery())
    plain = AdapterQuery()
    queries = {
        "no filter, by name": plain,
        "no filter, newest": replace(plain, sort="newest"),
        "no filter, by accuracy": replace(plain, sort="accuracy"),
        "no filter, by versions": replace(plain, sort="versions"),
        "no filter, newest, page 100": replace(plain, sort="newest", page=100),
        "one word": replace(plain, text=word, sort="newest"),
        "three words": replace(plain, text=f"{word} adapter 7", sort="accuracy"),
        "a word that nobody wrote": replace(plain, text="xyzzy"),
        "a word of every adapter": replace(plain, text="adapter", sort="newest"),
        "base": replace(plain, base=facets.bases[0].value, sort="newest"),
        "type": replace(plain, adapter_type="PREFIX", sort="newest"),
        "tag": replace(plain, tags=(facets.tags[0].value,), sort="newest"),
        "two tags": replace(plain, tags=(facets.tags[0].value, facets.tags[1].value), sort="newest"),
        "alias": replace(plain, alias="production", sort="newest"),
        "owner": replace(plain, owner=facets.owners[0].value, sort="newest"),
        "accuracy of at least 0.9": replace(plain, min_accuracy=0.9, sort="accuracy"),
        "any status": replace(plain, status=None),
        "withdrawn": replace(plain, status="withdrawn"),
        "everything at once": replace(
            plain, text="a", base=facets.bases[0].value, owner=facets.owners[0].value, min_accuracy=0.1
        ),
    }
    actions: dict[str, Action] = {
        f"adapters, {name}": lambda query=query: registry.search.adapters(query)  # type: ignore[misc]
        for name, query in queries.items()
    }
    runs = {
        "runs": RunQuery(),
        "runs, page 15": RunQuery(page=15),
        "runs, failed": RunQuery(statuses=("failed",)),
        "runs, one word": RunQuery(text="an"),
    }
    return actions | {name: lambda query=query: registry.search.runs(query) for name, query in runs.items()}


def _curves(registry: Registry, long_run: str) -> Mapping[str, Action]:
    usual = registry.search.runs(RunQuery()).runs[0].id
    n_long = sum(len(points) for points in registry.runs.metrics(long_run).values())
    n_usual = sum(len(points) for points in registry.runs.metrics(usual).values())
    return {
        f"curves of a run of {n_usual:,} points": lambda: registry.runs.metrics(usual, max_points=MAX_POINTS),
        f"curves of the run of {n_long:,} points": lambda: registry.runs.metrics(
            long_run, max_points=MAX_POINTS
        ),
    }


def _others(registry: Registry) -> Mapping[str, Action]:
    version = registry.catalog.resolve("adapter-7")
    revision = registry.revision()
    numbers = iter(range(1_000_000))

    def publish() -> None:
        registry.catalog.publish(
            NewVersion(
                slug="adapter-7",
                title="",
                description="",
                run_id=None,
                base_id=version.base.id,
                dataset_id=None,
                adapter_type="LORA",
                n_params=1,
                image_size=112,
                class_names=version.class_names,
                config={},
                files={"adapter_model.safetensors": f"weights {next(numbers)}".encode()},
            ),
            actor="ann",
        )

    return {
        "resolve slug": lambda: registry.catalog.resolve("adapter-8"),
        "resolve slug@2": lambda: registry.catalog.resolve("adapter-8@2"),
        "resolve what isn't there": lambda: _refused(registry, "adaptre-8"),
        "versions of an adapter": lambda: registry.catalog.versions("adapter-8"),
        "facets": lambda: registry.search.facets(AdapterQuery()),
        "compare two versions": lambda: registry.comparer.compare(["adapter-5", "adapter-6"]),
        "lineage of a version": lambda: registry.lineage.of(version),
        "revision": registry.revision,
        "publish": publish,
        "changes after one publish": lambda: registry.catalog.changes_since(revision),
        "the whole catalog as versions": registry.catalog.current,
    }


def _refused(registry: Registry, slug: str) -> None:
    try:
        registry.catalog.resolve(slug)
    except UnknownAdapter:
        return
    raise AssertionError(f"{slug} should not be there")


def _figure(name: str, action: Action, target: float | None) -> Figure:
    """Median and 95th percentile in milliseconds; the first call, which compiles the SQL, apart."""
    first = _milliseconds(action)
    rounds = ROUNDS if first < 200 else 3
    times = [_milliseconds(action) for _ in range(rounds)]
    median = statistics.median(times)
    high = statistics.quantiles(times, n=20, method="inclusive")[-1]
    note = f"p95 {high:.1f} ms, first {first:.1f} ms"
    if target is None:
        return Figure(name, f"{median:.3g} ms", note=note)
    return at_most(name, median, target, " ms", note)


def _milliseconds(action: Action) -> float:
    started = time.perf_counter()
    action()
    return (time.perf_counter() - started) * 1000
