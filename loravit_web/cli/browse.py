"""What the shell's words that look through adapters and runs do; `cli` says how they are called."""

from __future__ import annotations

import argparse
import sys

from loravit_web.cli.shell import open_registry, open_runs, output
from loravit_web.settings.environment import Settings


def adapters_list(options: argparse.Namespace, settings: Settings) -> int:
    from loravit_web.cli.browse_views import entry_document
    from loravit_web.cli.views import table
    from registry import AdapterQuery

    query = AdapterQuery(
        text=options.search,
        base=options.base,
        adapter_type=options.type,
        status=None if options.status == "any" else options.status,
        alias=options.alias,
        tags=tuple(options.tag),
        owner=options.owner,
        min_accuracy=options.min_accuracy,
        sort=options.sort,
        page=options.page,
        limit=options.limit,
    )
    with open_registry(settings) as registry:
        page = registry.search.adapters(query)
        anything = page.total or registry.search.adapters(AdapterQuery(status=None, limit=1)).total
    documents = [entry_document(entry) for entry in page.entries]
    columns = ["slug", "title", "version", "base", "classes", "val_accuracy", "test_accuracy", "created_at"]
    empty = "No adapter meets this." if anything else "No adapters yet: train one."
    output(options, documents, lambda: table(documents, columns, empty))
    _tell_page(page.page, page.pages, page.total, "adapters")
    return 0


def runs_list(options: argparse.Namespace, settings: Settings) -> int:
    from loravit_web.cli.views import run_document, table
    from registry import RunQuery

    query = RunQuery(
        text=options.search,
        statuses=tuple(options.status),
        slug=options.slug,
        page=options.page,
        limit=options.limit,
    )
    with open_runs(settings) as registry:
        page, queue = registry.search.runs(query), registry.runs.queue()
        anything = page.total or registry.search.runs(RunQuery(limit=1)).total
    documents = [run_document(run, queue) for run in page.runs]
    columns = ["run", "status", "slug", "queue_position", "stage", "dataset", "created_at", "published"]
    empty = "No run meets this." if anything else "No runs yet: train an adapter."
    output(options, documents, lambda: table(documents, columns, empty))
    _tell_page(page.page, page.pages, page.total, "runs")
    return 0


def compare(options: argparse.Namespace, settings: Settings) -> int:
    from loravit_web.cli.browse_views import comparison_document, comparison_text, lineage_document

    with open_registry(settings) as registry:
        comparison = registry.comparer.compare(options.refs)
        lineages = [
            None if one.version is None else lineage_document(registry.lineage.of(one.version))
            for one in comparison.subjects
        ]
    document = comparison_document(comparison, lineages)
    output(options, document, lambda: comparison_text(document))
    return 0


def _tell_page(page: int, pages: int, total: int, what: str) -> None:
    """That there is more, on stderr, so that a list stays one document."""
    if pages > 1:
        print(
            f"note: page {page} of {pages}, {total:,} {what} in all; see --page and --limit", file=sys.stderr
        )
