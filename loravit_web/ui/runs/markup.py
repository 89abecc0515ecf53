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
_HEADS = ("Compare", "State", "Run", "By", "Best", "Data", "Started", "Took", "Published")


@dataclass(frozen=True)
class QueuedRun:
    """A run that trains or waits, by its name and place."""

    run: Run
    name: str
    place: str


@dataclass(frozen=True)
class Row:
    """A run in the table.

    Attributes:
        cells: texts of the columns after the name.
    """

    run: Run
    is_chosen: bool
    is_compared: bool
    cells: tuple[str, ...]


def loading() -> Markup:
    """Shown before the list arrives."""
    return notice("Reading the run history …")


def nothing_yet() -> Markup:
    """Shown in the place of the list before the first run."""
    return notice("Start a training in the tab Train: it is listed here from then on.", title="No runs yet.")


def no_match() -> Markup:
    """Shown in the place of the list where no run matches."""
    return notice("Take away a word or a state to see more.", title="No run meets this.")


def none_chosen() -> Markup:
    """Shown in the place of a run before one is selected."""
    return notice("Choose a run above to see its state, its next step, its curves and its log.")


def queue_list(active: Sequence[Run], positions: Mapping[str, int]) -> Markup:
    """What trains and what waits, in order, with whose it is; nothing when nothing does.

    Args:
        positions: in the queue, by id; what the reader does not see waits there as well.
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
        return f"number {position} in the queue"
    left = f", about {duration(run.eta_seconds)} left" if run.eta_seconds else ""
    return f"{'Stopping' if run.stop_request else run.stage or 'Starting'}, {run.progress:.0%}{left}"


def runs_table(
    runs: Sequence[Run], best: dict[str, float], chosen: str | None, compared: Collection[str]
) -> Markup:
    """A page of runs; each can be chosen, and ticked to be compared."""
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
    """Whose run it is, since when, and its link."""
    return render("runs/origin", run=run, retry_of=str(run.environment.get("retry_of") or ""))


def log_text(text: str) -> Markup:
    """The end of a run's log."""
    if not text:
        return notice(
            "This machine has no log of this run: it was trained elsewhere, or before logs were kept."
        )
    return render("runs/log", text=text)


def curves_head(heading: str, hint: str, names: Sequence[str], colours: Mapping[str, str]) -> Markup:
    """What curves show, what else can be done, and their legend.

    Args:
        names: of the curves.
        colours: of the curves in this order, by their number.
    """
    curves = [(name, *colour) for name, colour in zip(names, colours.items(), strict=False)]
    return render("runs/curves", heading=heading, hint=hint, curves=curves)


def compared_table(title: str, heads: Sequence[str], rows: Sequence[ComparedRow], empty: str) -> Markup:
    """Rows of a comparison; the best is marked by a star and in words."""
    return render("runs/compared", title=title, heads=heads, rows=rows, empty=empty)
