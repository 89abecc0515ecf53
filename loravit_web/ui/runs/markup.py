"""HTML of the tab Runs."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from loravit_web.runs.comparison import ComparedRow
from loravit_web.runs.next_steps import title_and_owner
from loravit_web.ui.kit.markup import STATUS_SIGNS, notice
from loravit_web.ui.templates import render
from loravit_web.util.text import duration
from registry import Run

MOST_QUEUED = 10
_HEADS = ("Compare", "Status", "Run", "Owner", "Best accuracy", "Data", "Started", "Duration", "Published")


@dataclass(frozen=True)
class QueuedRun:
    """Run that trains or waits.

    Attributes:
        run: Run.
        name: Title and owner.
        place: Position in the queue, or progress.
    """

    run: Run
    name: str
    place: str


@dataclass(frozen=True)
class Row:
    """Run in the table.

    Attributes:
        run: Run.
        is_chosen: Whether the run is selected.
        is_compared: Whether the run is compared.
        cells: Texts of the columns after the name.
    """

    run: Run
    is_chosen: bool
    is_compared: bool
    cells: tuple[str, ...]


def loading() -> Markup:
    """Return what is shown before the list is loaded."""
    return notice("Loading runs…")


def nothing_yet() -> Markup:
    """Return what is shown instead of the list before the first run."""
    return notice("Runs appear here after you start a training in the tab Train.", title="No runs yet.")


def no_match() -> Markup:
    """Return what is shown instead of the list if no run matches."""
    return notice("Use fewer words or another status.", title="No matching runs.")


def none_chosen() -> Markup:
    """Return what is shown instead of a run before one is selected."""
    return notice("Select a run to see details.")


def queue_list(active: Sequence[Run], positions: Mapping[str, int]) -> Markup:
    """Return the running and queued runs with their owners, in order; empty without any.

    Args:
        active: Running and queued runs.
        positions: Positions in the queue by ID of the run, counted among all runs, also those that the
            visitor does not see.
    """
    if not active:
        return Markup()
    items = [
        QueuedRun(run, title_and_owner(run), _place(run, positions.get(run.id)))
        for run in active[:MOST_QUEUED]
    ]
    return render("runs/queue", items=items, signs=STATUS_SIGNS, more=len(active) - MOST_QUEUED)


def _place(run: Run, position: int | None) -> str:
    if position is not None:
        return f"position {position} in the queue"
    left = f", about {duration(run.eta_seconds)} left" if run.eta_seconds else ""
    return f"{'Stopping' if run.stop_request else run.stage or 'Starting'}, {run.progress:.0%}{left}"


def runs_table(
    runs: Sequence[Run], best: dict[str, float], chosen: str | None, compared: Collection[str]
) -> Markup:
    """Return a page of runs, each of which can be selected and compared.

    Args:
        runs: Runs of the page.
        best: Best accuracy by ID of the run.
        chosen: ID of the selected run.
        compared: IDs of the compared runs.
    """
    rows = [Row(run, run.id == chosen, run.id in compared, _cells(run, best.get(run.id))) for run in runs]
    return render("runs/table", heads=_HEADS, rows=rows, signs=STATUS_SIGNS)


def _cells(run: Run, best: float | None) -> tuple[str, ...]:
    return (
        run.created_by,
        "–" if best is None else f"{best:.1%}",
        run.dataset.name,
        f"{run.started_at:%Y-%m-%d %H:%M}" if run.started_at else "not yet",
        "–" if run.seconds is None else duration(run.seconds),
        run.published or "–",
    )


def run_origin(run: Run) -> Markup:
    """Return owner, time and link of a run."""
    return render("runs/origin", run=run, retry_of=str(run.environment.get("retry_of") or ""))


def log_text(text: str) -> Markup:
    """Return the end of a run's log."""
    if not text:
        return notice("No log available for this run.")
    return render("runs/log", text=text)


def curves_head(heading: str, hint: str, names: Sequence[str], colours: Mapping[str, str]) -> Markup:
    """Return the heading of curves, a hint, and their legend.

    Args:
        heading: Heading.
        hint: Hint, or an empty string.
        names: Names of the curves.
        colours: CSS colors of the curves in the same order, by number.
    """
    curves = [(name, *colour) for name, colour in zip(names, colours.items(), strict=False)]
    return render("runs/curves", heading=heading, hint=hint, curves=curves)


def compared_table(title: str, heads: Sequence[str], rows: Sequence[ComparedRow], empty: str) -> Markup:
    """Return a table of a comparison. The best value is marked by a star and in words.

    Args:
        title: Heading of the table.
        heads: Column heads.
        rows: Rows.
        empty: Text if there are no rows.
    """
    return render("runs/compared", title=title, heads=heads, rows=rows, empty=empty)
